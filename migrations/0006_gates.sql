-- Requests for approval, their votes and decisions, and the admission that uses a grant up.
--
-- Placeholders, markers and rules: see 0001_audit.sql and 0002_presence.sql. A token is stored nowhere: it is made again of its
-- request's facts. decision_mac proves a decision: the runtime role can write rows here only through the functions below, and
-- whoever writes past them has no key.

-- state: pending, granted, denied, expired, consumed. payload is canonical text, null without arguments. session '' is none.
CREATE TABLE {{schema}}.governance_gates (
  root           text COLLATE "C" NOT NULL,
  request        uuid NOT NULL,
  agent          text COLLATE "C" NOT NULL,
  session        text COLLATE "C" NOT NULL,
  kind           text NOT NULL CHECK (octet_length(kind) <= 8192),
  action_hash    text NOT NULL,
  payload        text CHECK (octet_length(payload) <= 262144),
  key_id         text NOT NULL,
  match_key      text NOT NULL,
  state          text NOT NULL CHECK (state IN ('pending', 'granted', 'denied', 'expired', 'consumed')),
  quorum         int NOT NULL CHECK (quorum >= 1),
  created_at     timestamptz NOT NULL,
  expires_at     timestamptz NOT NULL,
  decided_at     timestamptz,
  operators      text[] NOT NULL,
  reviewer       text,
  approvers      text[] NOT NULL DEFAULT '{}',
  decision_mac   text,
  approved_hash  text,
  edited_payload text CHECK (octet_length(edited_payload) <= 262144),
  ticket         uuid,
  earlier        uuid,
  PRIMARY KEY (root, request)
) WITH (fillfactor = 80);

CREATE INDEX governance_gates_request ON {{schema}}.governance_gates (request);
CREATE INDEX governance_gates_match ON {{schema}}.governance_gates (root, match_key, created_at);
CREATE INDEX governance_gates_open ON {{schema}}.governance_gates (agent, created_at) WHERE state IN ('pending', 'granted');
CREATE INDEX governance_gates_created ON {{schema}}.governance_gates (created_at);

-- Grants that wait for others; mac proves each.
CREATE TABLE {{schema}}.governance_gate_votes (
  root           text COLLATE "C" NOT NULL,
  request        uuid NOT NULL,
  approver       text NOT NULL,
  action_hash    text NOT NULL,
  edited_payload text CHECK (octet_length(edited_payload) <= 262144),
  mac            text NOT NULL,
  at             timestamptz NOT NULL,
  PRIMARY KEY (root, request, approver)
);

-- Who operates the agents of a path, root first.
CREATE FUNCTION {{schema}}.governance_operators_of(p_root text, p_agent text) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(p.operator_id ORDER BY u.nr), '{}')
    FROM {{schema}}.governance_agents a
   CROSS JOIN LATERAL unnest(a.path) WITH ORDINALITY AS u(agent, nr)
    JOIN {{schema}}.governance_presence p ON p.root = p_root AND p.agent = u.agent
   WHERE a.agent = p_agent AND a.root = p_root AND p.operator_id IS NOT NULL
$$;

-- Finds the pending request or unused grant of that key, or makes the request. Outcomes: Opened, Known, Full, Foreign.
CREATE FUNCTION {{schema}}.governance_open_gate(
  p_root text, p_request uuid, p_agent text, p_session text, p_kind text, p_action_hash text, p_payload text, p_key_id text,
  p_match text, p_quorum int, p_expires_ms bigint, p_max_pending int,
  OUT r_outcome text, OUT r_request uuid, OUT r_pending bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now timestamptz;
BEGIN
  IF p_expires_ms IS NULL OR p_expires_ms < 1 THEN
    RAISE EXCEPTION 'a request must have time' USING ERRCODE = '22023';
  END IF;
  IF p_agent = p_root THEN PERFORM {{schema}}.governance_enrol(p_agent, NULL); END IF;
  PERFORM 1 FROM {{schema}}.governance_trees t WHERE t.root = p_root FOR NO KEY UPDATE;
  v_now := date_trunc('milliseconds', {{schema}}.governance_now());
  PERFORM 1 FROM {{schema}}.governance_agents a WHERE a.agent = p_agent AND a.root = p_root;
  IF NOT FOUND THEN r_outcome := 'Foreign'; RETURN; END IF;
  SELECT g.request INTO r_request FROM {{schema}}.governance_gates g
   WHERE g.root = p_root AND g.match_key = p_match AND g.agent = p_agent AND g.state IN ('pending', 'granted')
     AND g.expires_at > v_now
   ORDER BY g.created_at DESC LIMIT 1;
  IF FOUND THEN r_outcome := 'Known'; RETURN; END IF;
  SELECT count(*) INTO r_pending FROM {{schema}}.governance_gates g
   WHERE g.agent = p_agent AND g.root = p_root AND g.state = 'pending' AND g.expires_at > v_now;
  IF r_pending >= p_max_pending THEN r_outcome := 'Full'; RETURN; END IF;
  INSERT INTO {{schema}}.governance_gates
    (root, request, agent, session, kind, action_hash, payload, key_id, match_key, state, quorum, created_at, expires_at,
     operators, earlier)
  VALUES (p_root, p_request, p_agent, p_session, p_kind, p_action_hash, p_payload, p_key_id, p_match, 'pending', p_quorum, v_now,
    v_now + p_expires_ms * interval '1 millisecond', {{schema}}.governance_operators_of(p_root, p_agent),
    (SELECT g.request FROM {{schema}}.governance_gates g
      WHERE g.root = p_root AND g.match_key = p_match AND g.agent = p_agent AND g.state = 'consumed'
      ORDER BY g.created_at DESC LIMIT 1));
  r_outcome := 'Opened';
  r_request := p_request;
END $$;

-- Decides a pending request, or adds a vote to it. p_decision: granted, denied, vote. Outcomes: Decided, Expired, Moved, or
-- the state it has instead. p_pinned: only while p_reviewer has claimed it.
CREATE FUNCTION {{schema}}.governance_decide_gate(
  p_root text, p_request uuid, p_decision text, p_approver text, p_hash text, p_edited text, p_mac text, p_approvers text[],
  p_votes int, p_pinned boolean, p_reviewer text
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  g     {{schema}}.governance_gates;
  v_now timestamptz;
BEGIN
  PERFORM 1 FROM {{schema}}.governance_trees t WHERE t.root = p_root FOR NO KEY UPDATE;
  SELECT * INTO g FROM {{schema}}.governance_gates x WHERE x.root = p_root AND x.request = p_request FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 'expired'; END IF;
  v_now := {{schema}}.governance_now();
  IF g.state <> 'pending' THEN RETURN g.state; END IF;
  IF g.expires_at <= v_now THEN RETURN 'Expired'; END IF;
  IF p_pinned AND g.reviewer IS DISTINCT FROM p_reviewer THEN RETURN 'Moved'; END IF;
  IF (SELECT count(*) FROM {{schema}}.governance_gate_votes v WHERE v.root = p_root AND v.request = p_request) <> p_votes THEN
    RETURN 'Moved';
  END IF;
  IF p_decision = 'vote' THEN
    INSERT INTO {{schema}}.governance_gate_votes (root, request, approver, action_hash, edited_payload, mac, at)
    VALUES (p_root, p_request, p_approver, p_hash, p_edited, p_mac, v_now);
  ELSIF p_decision IN ('granted', 'denied') THEN
    UPDATE {{schema}}.governance_gates x
       SET state = p_decision, decided_at = v_now, approvers = p_approvers, decision_mac = p_mac,
           approved_hash = CASE p_decision WHEN 'granted' THEN p_hash END,
           edited_payload = CASE p_decision WHEN 'granted' THEN p_edited END
     WHERE x.root = p_root AND x.request = p_request;
  ELSE
    RAISE EXCEPTION 'not a decision' USING ERRCODE = '22023';
  END IF;
  RETURN 'Decided';
END $$;

-- Ends a request whose time is over, or with p_early any that is not used yet. True once.
CREATE FUNCTION {{schema}}.governance_expire_gate(p_root text, p_request uuid, p_early boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now timestamptz;
BEGIN
  PERFORM 1 FROM {{schema}}.governance_trees t WHERE t.root = p_root FOR NO KEY UPDATE;
  v_now := {{schema}}.governance_now();
  UPDATE {{schema}}.governance_gates g SET state = 'expired', decided_at = coalesce(g.decided_at, v_now)
   WHERE g.root = p_root AND g.request = p_request AND g.state IN ('pending', 'granted') AND (p_early OR g.expires_at <= v_now);
  RETURN FOUND;
END $$;

CREATE FUNCTION {{schema}}.governance_claim_gate(p_root text, p_request uuid, p_from text, p_to text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE {{schema}}.governance_gates g SET reviewer = p_to
   WHERE g.root = p_root AND g.request = p_request AND g.state = 'pending' AND g.reviewer IS NOT DISTINCT FROM p_from;
  RETURN FOUND;
END $$;

-- Deletes resolved requests that are older than that, unless the call that used one may still be running. Never before their
-- time is over: a MAC holds for one moment of expiry, so a request made again under the same id must not be able to have it.
CREATE FUNCTION {{schema}}.governance_forget_gates(p_older_ms bigint, p_limit bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_before timestamptz := {{schema}}.governance_now() - p_older_ms * interval '1 millisecond';
  r        record;
  v_gone   bigint := 0;
BEGIN
  IF p_older_ms IS NULL OR p_older_ms < 0 THEN
    RAISE EXCEPTION 'not an age' USING ERRCODE = '22023';
  END IF;
  FOR r IN SELECT g.root, g.request FROM {{schema}}.governance_gates g
            WHERE g.created_at <= v_before AND g.state IN ('denied', 'expired', 'consumed')
              AND coalesce(g.decided_at, g.created_at) <= v_before AND g.expires_at <= {{schema}}.governance_now()
              AND NOT EXISTS (SELECT 1 FROM {{schema}}.governance_tickets t
                               WHERE t.root = g.root AND t.ticket = g.ticket AND t.state IN ('open', 'orphaned'))
            ORDER BY g.created_at LIMIT p_limit LOOP
    DELETE FROM {{schema}}.governance_gate_votes v WHERE v.root = r.root AND v.request = r.request;
    DELETE FROM {{schema}}.governance_gates g WHERE g.root = r.root AND g.request = r.request;
    v_gone := v_gone + 1;
  END LOOP;
  RETURN v_gone;
END $$;

-- Admits one call by its approval: the grant is used up by the same statement that writes the ticket, or neither happens
-- (BEY-02). A known ticket meets its first answer. Besides the verdicts of governance_admit_one: Unapproved.
CREATE FUNCTION {{schema}}.governance_admit_approved(
  p_request uuid, p_mac text, p_hash text,
  p_root text, p_agent text, p_session text, p_tool text, p_ticket uuid, p_signature text, p_usd bigint, p_tokens bigint,
  p_lease_ms bigint, p_model text, p_facts text,
  OUT verdict text, OUT day text, OUT held_usd bigint, OUT held_tokens bigint, OUT detail jsonb,
  OUT recent_signatures text[], OUT recent_results text[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_known boolean;
BEGIN
  PERFORM 1 FROM {{schema}}.governance_trees t WHERE t.root = p_root FOR NO KEY UPDATE;
  SELECT true INTO v_known FROM {{schema}}.governance_tickets t WHERE t.root = p_root AND t.ticket = p_ticket;
  IF v_known IS NULL THEN
    PERFORM 1 FROM {{schema}}.governance_gates g
     WHERE g.root = p_root AND g.request = p_request AND g.agent = p_agent AND g.state = 'granted' AND g.decision_mac = p_mac
       AND g.approved_hash = p_hash AND g.expires_at > {{schema}}.governance_now()
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      verdict := 'Unapproved';
      RETURN;
    END IF;
  END IF;
  SELECT a.verdict, a.day, a.held_usd, a.held_tokens, a.detail, a.recent_signatures, a.recent_results
    INTO verdict, day, held_usd, held_tokens, detail, recent_signatures, recent_results
    FROM {{schema}}.governance_admit_one(p_root, p_agent, p_session, p_tool, p_ticket, p_signature, p_usd, p_tokens, p_lease_ms,
      p_model, p_facts) a;
  IF verdict = 'Admitted' THEN
    UPDATE {{schema}}.governance_gates g SET state = 'consumed', ticket = p_ticket
     WHERE g.root = p_root AND g.request = p_request;
  END IF;
END $$;

REVOKE ALL ON {{schema}}.governance_gates, {{schema}}.governance_gate_votes FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_operators_of FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_open_gate FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_decide_gate FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_expire_gate FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_claim_gate FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_forget_gates FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_admit_approved FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_gates, {{schema}}.governance_gate_votes FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_gates, {{schema}}.governance_gate_votes TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_operators_of TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_open_gate TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_decide_gate TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_expire_gate TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_claim_gate TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_forget_gates TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_admit_approved TO {{app_role}};
-- {{/app_role}}
