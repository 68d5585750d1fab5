-- The one door: a call is admitted, or refused, by one function and settled by another, both for many calls of one tree.
--
-- Placeholders, markers and rules: see 0001_audit.sql and 0002_presence.sql.

-- One admission. state: open (held), spent (settled; what was held or what was spent), released (never started), orphaned
-- (nobody knows: the hold is charged until somebody does), refused (never held).
-- No CHECKs: they are parsed again for every insert, and only the functions below write here.
-- held_* stays what was set aside at first; settled_* is what was charged. session '' stands for none.
CREATE TABLE {{schema}}.governance_tickets (
  root           text COLLATE "C" NOT NULL,
  ticket         uuid NOT NULL,
  agent          text COLLATE "C" NOT NULL,
  session        text COLLATE "C" NOT NULL,
  state          text NOT NULL,
  verdict        text NOT NULL,
  detail         jsonb,
  held_usd       bigint NOT NULL,
  held_tokens    bigint NOT NULL,
  day            text NOT NULL,
  opened_at      timestamptz NOT NULL,
  expires_at     timestamptz NOT NULL,
  settled_at     timestamptz,
  settled_usd    bigint NOT NULL DEFAULT 0,
  settled_tokens bigint NOT NULL DEFAULT 0,
  charged_model  text,
  tool           text,
  model          text,
  signature      text NOT NULL,
  result_hash    text,
  facts          json NOT NULL,
  PRIMARY KEY (root, ticket)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- The last calls of a session, for the detection of repetition. Predicates are evaluated at every write: a test for null is
-- the cheapest there is, and a ticket is open as long as it has no settled_at.
CREATE INDEX governance_tickets_recent ON {{schema}}.governance_tickets (root, agent, session, opened_at) WHERE tool IS NOT NULL;
CREATE INDEX governance_tickets_open ON {{schema}}.governance_tickets (expires_at) WHERE settled_at IS NULL;
CREATE INDEX governance_tickets_settled ON {{schema}}.governance_tickets (settled_at) WHERE settled_at IS NOT NULL;

-- Admits many calls of one tree. p_agents and p_sessions are the distinct pairs of the batch, p_windows (a pair) and p_tools
-- its distinct loop windows; p_pair and p_window (0: not counted) point at them. p_usd -1: hold the smallest remainder whole.
-- Tickets MUST be distinct. Returns by call: the verdict (`=` before it when the ticket was known; Foreign: the agent does not
-- belong to this root, or the ticket is another agent's), the day, the hold and the facts of a refusal; and the last calls of each pair (of = pair), or those
-- before a ticket that was known (of = - call), oldest first.
CREATE FUNCTION {{schema}}.governance_admit(
  p_root text, p_agents text[], p_sessions text[], p_windows int[], p_tools text[],
  p_tickets uuid[], p_pair int[], p_window int[], p_signatures text[], p_usd bigint[], p_tokens bigint[], p_lease_ms bigint[],
  p_models text[], p_facts text[],
  OUT verdicts text[], OUT days text[], OUT held_usd bigint[], OUT held_tokens bigint[], OUT details jsonb[],
  OUT recent_of int[], OUT recent_signatures text[], OUT recent_results text[]
)
-- A plan is made once per connection and MUST NOT depend on what the tables held then.
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
  n          int := cardinality(p_tickets);
  v_halts    jsonb;
  v_now      timestamptz;
  v_day      text;
  v_known    boolean := false;
  r          record;
  r_pair     int[]; r_agent text[]; r_limits bigint[]; r_session int[]; r_day int[];
  c_agent    text[]; c_scope text[]; c_usd bigint[]; c_tokens bigint[]; c_started timestamptz[];
  b_usd      bigint[]; b_tokens bigint[];
  c_touched  boolean[];
  pair_from  int[] := array_fill(0, ARRAY[cardinality(p_agents)]);
  pair_to    int[] := pair_from;
  pair_halt  text[] := array_fill(NULL::text, ARRAY[cardinality(p_agents)]);
  pair_taken boolean[] := array_fill(false, ARRAY[cardinality(p_agents)]);
  w_new      int[]; w_before int[]; w_most int[]; w_seconds int[]; w_raises boolean[];
  rank       int[];
  p int; w int; s int; d int;
  v_usd bigint; v_tokens bigint; v_all boolean; v_left_usd bigint; v_left_tokens bigint;
  v_cap text; v_of int; v_limit bigint; v_used bigint; v_asked bigint;
BEGIN
  SELECT t.halts INTO v_halts FROM {{schema}}.governance_trees t WHERE t.root = p_root FOR NO KEY UPDATE;
  IF NOT FOUND AND p_root = ANY (p_agents) THEN
    PERFORM {{schema}}.governance_enrol(p_root, NULL);
    SELECT t.halts INTO v_halts FROM {{schema}}.governance_trees t WHERE t.root = p_root FOR NO KEY UPDATE;
  END IF;
  v_now := {{schema}}.governance_now();
  v_day := to_char(v_now AT TIME ZONE 'UTC', 'YYYY-MM-DD');
  verdicts := array_fill(NULL::text, ARRAY[n]);
  days := array_fill(v_day, ARRAY[n]);
  held_usd := array_fill(0::bigint, ARRAY[n]);
  held_tokens := held_usd;
  details := array_fill(NULL::jsonb, ARRAY[n]);

  -- A retry meets its first answer.
  FOR r IN SELECT u.nr, t.verdict, t.day, t.held_usd, t.held_tokens, t.detail, t.agent
             FROM unnest(p_tickets) WITH ORDINALITY AS u(ticket, nr)
            CROSS JOIN LATERAL (
              SELECT t.* FROM {{schema}}.governance_tickets t WHERE t.root = p_root AND t.ticket = u.ticket LIMIT 1) t LOOP
    v_known := true;
    verdicts[r.nr] := CASE WHEN r.agent = p_agents[p_pair[r.nr]] THEN '=' || r.verdict ELSE 'Foreign' END;
    days[r.nr] := r.day;
    held_usd[r.nr] := r.held_usd;
    held_tokens[r.nr] := r.held_tokens;
    details[r.nr] := r.detail;
  END LOOP;

  SELECT * INTO r_pair, r_agent, r_limits, r_session, r_day, c_agent, c_scope, c_usd, c_tokens, c_started
    FROM {{schema}}.governance_read_counters(p_root, v_day, p_agents, p_sessions);
  FOR j IN 1..coalesce(cardinality(r_pair), 0) LOOP
    p := r_pair[j];
    IF pair_from[p] = 0 THEN pair_from[p] := j; END IF;
    pair_to[p] := j;
    IF v_halts <> '{}' AND pair_halt[p] IS NULL AND v_halts ? r_agent[j] THEN pair_halt[p] := r_agent[j]; END IF;
  END LOOP;

  IF cardinality(p_tools) > 0 THEN
    w_new := array_fill(0, ARRAY[cardinality(p_tools)]);
    rank := array_fill(0, ARRAY[n]);
    FOR i IN 1..n LOOP
      w := p_window[i];
      IF w > 0 AND verdicts[i] IS NULL AND pair_from[p_pair[i]] > 0 AND pair_halt[p_pair[i]] IS NULL THEN
        w_new[w] := w_new[w] + 1;
        rank[i] := w_new[w];
      END IF;
    END LOOP;
    SELECT c.r_before, c.r_most, c.r_seconds, c.r_raises INTO w_before, w_most, w_seconds, w_raises
      FROM (SELECT array_agg(p_agents[u.pair] ORDER BY u.nr) AS agents, array_agg(p_sessions[u.pair] ORDER BY u.nr) AS sessions
              FROM unnest(p_windows) WITH ORDINALITY AS u(pair, nr)) a,
           LATERAL {{schema}}.governance_count_calls(p_root, v_now, a.agents, a.sessions, p_tools, w_new) c;
  END IF;

  b_usd := c_usd;
  b_tokens := c_tokens;
  FOR i IN 1..n LOOP
    CONTINUE WHEN verdicts[i] IS NOT NULL;
    p := p_pair[i];
    IF pair_from[p] = 0 THEN verdicts[i] := 'Foreign'; CONTINUE; END IF;
    IF pair_halt[p] IS NOT NULL THEN
      verdicts[i] := 'Halted';
      details[i] := v_halts -> pair_halt[p] || jsonb_build_object('agentId', pair_halt[p]);
      CONTINUE;
    END IF;

    w := p_window[i];
    IF w > 0 AND w_most[w] IS NOT NULL AND w_before[w] + rank[i] > w_most[w] THEN
      details[i] := jsonb_build_object('count', w_before[w] + rank[i], 'maxCalls', w_most[w], 'windowSeconds', w_seconds[w]);
      IF w_raises[w] THEN verdicts[i] := 'Looping'; CONTINUE; END IF;
    END IF;

    -- The caps of the path, root first: the first one that is used up or has no room. The same rule as `firstShort`.
    v_all := p_usd[i] < 0;
    v_usd := CASE WHEN v_all THEN 0 ELSE p_usd[i] END;
    v_tokens := CASE WHEN v_all THEN 0 ELSE p_tokens[i] END;
    v_left_usd := NULL;
    v_left_tokens := NULL;
    v_cap := NULL;
    FOR j IN pair_from[p]..pair_to[p] LOOP
      s := r_session[j];
      d := r_day[j];
      v_limit := r_limits[j][1];
      IF v_limit >= 0 THEN
        v_used := c_usd[s];
        IF v_used >= v_limit OR v_usd > v_limit - v_used THEN v_cap := 'perSessionUsd'; v_asked := v_usd; v_of := j; EXIT; END IF;
        v_left_usd := least(v_left_usd, v_limit - v_used);
      END IF;
      v_limit := r_limits[j][2];
      IF v_limit >= 0 THEN
        v_used := c_tokens[s];
        IF v_used >= v_limit OR v_tokens > v_limit - v_used THEN v_cap := 'perSessionTokens'; v_asked := v_tokens; v_of := j; EXIT; END IF;
        v_left_tokens := least(v_left_tokens, v_limit - v_used);
      END IF;
      v_limit := r_limits[j][3];
      IF v_limit >= 0 THEN
        v_used := c_usd[d];
        IF v_used >= v_limit OR v_usd > v_limit - v_used THEN v_cap := 'perAgentUsdDaily'; v_asked := v_usd; v_of := j; EXIT; END IF;
        v_left_usd := least(v_left_usd, v_limit - v_used);
      END IF;
      v_limit := r_limits[j][4];
      IF v_limit >= 0 THEN
        v_used := c_tokens[d];
        IF v_used >= v_limit OR v_tokens > v_limit - v_used THEN v_cap := 'perAgentTokensDaily'; v_asked := v_tokens; v_of := j; EXIT; END IF;
        v_left_tokens := least(v_left_tokens, v_limit - v_used);
      END IF;
      v_limit := r_limits[j][5];
      IF v_limit >= 0 THEN
        v_used := greatest(0, floor(extract(epoch FROM v_now - coalesce(c_started[s], v_now))));
        IF v_used >= v_limit THEN v_cap := 'perSessionSeconds'; v_asked := 0; v_of := j; EXIT; END IF;
      END IF;
    END LOOP;
    IF v_cap IS NOT NULL THEN
      verdicts[i] := 'Short';
      details[i] := jsonb_build_object('cap', v_cap, 'policyOf', r_agent[v_of], 'limit', v_limit::text, 'used', v_used::text,
        'requested', v_asked::text);
      CONTINUE;
    END IF;
    IF v_all THEN
      v_usd := coalesce(v_left_usd, 0);
      v_tokens := coalesce(v_left_tokens, 0);
    END IF;

    verdicts[i] := 'Admitted';
    pair_taken[p] := true;
    IF v_usd > 0 OR v_tokens > 0 THEN
      held_usd[i] := v_usd;
      held_tokens[i] := v_tokens;
      FOR j IN pair_from[p]..pair_to[p] LOOP
        s := r_session[j];
        d := r_day[j];
        c_usd[s] := c_usd[s] + v_usd;
        c_tokens[s] := c_tokens[s] + v_tokens;
        c_usd[d] := c_usd[d] + v_usd;
        c_tokens[d] := c_tokens[d] + v_tokens;
      END LOOP;
    END IF;
  END LOOP;

  -- Only where somebody looks at them: a tool, and a policy with progress. Before this batch's own rows are there: the client
  -- adds those, in order.
  IF cardinality(p_tools) > 0 THEN
    SELECT array_agg(q.nr), array_agg(q.signature), array_agg(q.result_hash)
      INTO recent_of, recent_signatures, recent_results
      FROM (
        SELECT g.nr::int AS nr, t.signature, t.result_hash
          FROM unnest(p_agents, p_sessions) WITH ORDINALITY AS g(agent, session, nr)
         CROSS JOIN LATERAL (
           SELECT 1 FROM {{schema}}.governance_policies l WHERE l.agent = g.agent AND l.kind = 'loop' AND l.body ? 'progress' LIMIT 1) l
         CROSS JOIN LATERAL (
           SELECT t.signature, t.result_hash, t.opened_at FROM {{schema}}.governance_tickets t
            WHERE t.root = p_root AND t.agent = g.agent AND t.session = g.session
              AND t.tool IS NOT NULL AND t.state IN ('open', 'spent', 'orphaned')
            ORDER BY t.opened_at DESC LIMIT 32) t
         ORDER BY g.nr, t.opened_at
      ) q;
    IF v_known THEN
      SELECT recent_of || array_agg(q.nr), recent_signatures || array_agg(q.signature), recent_results || array_agg(q.result_hash)
        INTO recent_of, recent_signatures, recent_results
        FROM (
          SELECT - g.nr::int AS nr, t.signature, t.result_hash
            FROM unnest(p_tickets) WITH ORDINALITY AS g(ticket, nr)
           CROSS JOIN LATERAL (
             SELECT k.* FROM {{schema}}.governance_tickets k WHERE k.root = p_root AND k.ticket = g.ticket LIMIT 1) k
           CROSS JOIN LATERAL (
             SELECT 1 FROM {{schema}}.governance_policies l WHERE l.agent = k.agent AND l.kind = 'loop' AND l.body ? 'progress' LIMIT 1) l
           CROSS JOIN LATERAL (
             SELECT t.signature, t.result_hash, t.opened_at FROM {{schema}}.governance_tickets t
              WHERE t.root = p_root AND t.agent = k.agent AND t.session = k.session
                AND t.tool IS NOT NULL AND t.state IN ('open', 'spent', 'orphaned') AND t.opened_at < k.opened_at
              ORDER BY t.opened_at DESC LIMIT 32) t
           ORDER BY g.nr, t.opened_at
        ) q;
    END IF;
  END IF;

  -- Every counter of a taken path gets its row, also for a call that holds nothing: a session starts with its first call.
  c_touched := array_fill(false, ARRAY[coalesce(cardinality(c_usd), 0)]);
  FOR j IN 1..coalesce(cardinality(r_pair), 0) LOOP
    IF pair_taken[r_pair[j]] THEN
      c_touched[r_session[j]] := true;
      c_touched[r_day[j]] := true;
    END IF;
  END LOOP;
  INSERT INTO {{schema}}.governance_cost_counters AS c (root, agent, scope, held_usd, held_tokens, started_at)
  SELECT p_root, u.agent, u.scope, u.usd - u.base_usd, u.tokens - u.base_tokens, v_now
    FROM unnest(c_agent, c_scope, c_usd, b_usd, c_tokens, b_tokens, c_started, c_touched)
      AS u(agent, scope, usd, base_usd, tokens, base_tokens, started, touched)
   WHERE u.touched AND (u.started IS NULL OR u.usd > u.base_usd OR u.tokens > u.base_tokens)
  ON CONFLICT (root, agent, scope) DO UPDATE
    SET held_usd = c.held_usd + EXCLUDED.held_usd, held_tokens = c.held_tokens + EXCLUDED.held_tokens;

  -- Microseconds keep the order of the batch.
  INSERT INTO {{schema}}.governance_tickets
    (root, ticket, agent, session, state, verdict, detail, held_usd, held_tokens, day, opened_at, expires_at, settled_at,
     tool, model, signature, facts)
  SELECT p_root, u.ticket, p_agents[u.pair], p_sessions[u.pair], CASE u.verdict WHEN 'Admitted' THEN 'open' ELSE 'refused' END,
         u.verdict, u.detail, u.usd, u.tokens, v_day, v_now + (u.nr - 1) * interval '1 microsecond',
         v_now + u.lease * interval '1 millisecond', CASE u.verdict WHEN 'Admitted' THEN NULL ELSE v_now END,
         CASE WHEN u.win > 0 THEN p_tools[u.win] END, u.model, u.signature, u.facts::json
    FROM unnest(p_tickets, p_pair, p_window, verdicts, details, held_usd, held_tokens, p_lease_ms, p_models, p_signatures, p_facts)
      WITH ORDINALITY AS u(ticket, pair, win, verdict, detail, usd, tokens, lease, model, signature, facts, nr)
   WHERE u.verdict <> 'Foreign' AND NOT starts_with(u.verdict, '=');
END $$;

-- One call alone. A fast lane for the usual answer: nobody of the tree is halted, the ticket is new, the loop window and every
-- cap have room. Whatever else is the case is left to governance_admit, so that each refusal has one source. Everything is read
-- before anything is written, by single rows: the tree's row keeps what was read from changing.
CREATE FUNCTION {{schema}}.governance_admit_one(
  p_root text, p_agent text, p_session text, p_tool text, p_ticket uuid, p_signature text, p_usd bigint, p_tokens bigint,
  p_lease_ms bigint, p_model text, p_facts text,
  OUT verdict text, OUT day text, OUT held_usd bigint, OUT held_tokens bigint, OUT detail jsonb,
  OUT recent_signatures text[], OUT recent_results text[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_open     boolean;
  v_now      timestamptz;
  v_us       bigint;
  v_path     text[];
  v_agent    text;
  v_limits   bigint[];
  v_usd      bigint;
  v_tokens   bigint;
  v_started  timestamptz;
  v_ready    boolean := true;
  v_loop     bigint[];
  v_progress boolean;
  v_windowed boolean := false;
  v_calls    bigint[];
  v_before   bigint;
BEGIN
  <<lane>>
  BEGIN
    SELECT t.halts = '{}' INTO v_open FROM {{schema}}.governance_trees t WHERE t.root = p_root FOR NO KEY UPDATE;
    EXIT lane WHEN p_usd < 0 OR v_open IS NOT TRUE;
    v_now := {{schema}}.governance_now();
    day := to_char(v_now AT TIME ZONE 'UTC', 'YYYY-MM-DD');
    SELECT a.path INTO v_path FROM {{schema}}.governance_agents a WHERE a.agent = p_agent AND a.root = p_root;
    EXIT lane WHEN NOT FOUND;
    PERFORM 1 FROM {{schema}}.governance_tickets t WHERE t.root = p_root AND t.ticket = p_ticket;
    EXIT lane WHEN FOUND;

    -- The same rule as `firstShort`.
    FOREACH v_agent IN ARRAY v_path LOOP
      SELECT b.limits INTO v_limits FROM {{schema}}.governance_policies b WHERE b.agent = v_agent AND b.kind = 'budget';
      SELECT c.used_usd + c.held_usd, c.used_tokens + c.held_tokens, c.started_at INTO v_usd, v_tokens, v_started
        FROM {{schema}}.governance_cost_counters c WHERE c.root = p_root AND c.agent = v_agent AND c.scope = 's:' || p_session;
      v_ready := v_ready AND FOUND;
      EXIT lane WHEN v_limits IS NOT NULL AND (
           (v_limits[1] >= 0 AND (v_limits[1] <= coalesce(v_usd, 0) OR p_usd > v_limits[1] - coalesce(v_usd, 0)))
        OR (v_limits[2] >= 0 AND (v_limits[2] <= coalesce(v_tokens, 0) OR p_tokens > v_limits[2] - coalesce(v_tokens, 0)))
        OR (v_limits[5] >= 0 AND (v_limits[5] = 0 OR v_now - v_started >= v_limits[5] * interval '1 second')));
      SELECT c.used_usd + c.held_usd, c.used_tokens + c.held_tokens INTO v_usd, v_tokens
        FROM {{schema}}.governance_cost_counters c WHERE c.root = p_root AND c.agent = v_agent AND c.scope = 'd:' || day;
      v_ready := v_ready AND FOUND;
      EXIT lane WHEN v_limits IS NOT NULL AND (
           (v_limits[3] >= 0 AND (v_limits[3] <= coalesce(v_usd, 0) OR p_usd > v_limits[3] - coalesce(v_usd, 0)))
        OR (v_limits[4] >= 0 AND (v_limits[4] <= coalesce(v_tokens, 0) OR p_tokens > v_limits[4] - coalesce(v_tokens, 0))));
    END LOOP;

    IF p_tool IS NOT NULL THEN
      SELECT l.limits, l.body ? 'progress' INTO v_loop, v_progress
        FROM {{schema}}.governance_policies l WHERE l.agent = p_agent AND l.kind = 'loop';
      IF v_loop IS NOT NULL THEN
        v_us := extract(epoch FROM v_now) * 1000000;
        SELECT w.calls INTO v_calls FROM {{schema}}.governance_loop_windows w
         WHERE w.root = p_root AND w.agent = p_agent AND w.session = p_session AND w.tool = p_tool;
        v_windowed := FOUND;
        -- A short list needs no counting: it may keep a few calls that have left the window, and whoever counts leaves them out.
        IF cardinality(v_calls) >= least(v_loop[1], 16) THEN
          v_before := (SELECT count(*) FROM unnest(v_calls) AS c(at) WHERE c.at > v_us - v_loop[2] * 1000000);
          EXIT lane WHEN v_before >= v_loop[1];
          v_calls := v_calls[cardinality(v_calls) - v_before + 1:];
        END IF;
      END IF;
      IF v_progress THEN
        SELECT array_agg(q.signature), array_agg(q.result_hash) INTO recent_signatures, recent_results
          FROM (
            SELECT * FROM (
              SELECT t.signature, t.result_hash, t.opened_at FROM {{schema}}.governance_tickets t
               WHERE t.root = p_root AND t.agent = p_agent AND t.session = p_session
                 AND t.tool IS NOT NULL AND t.state IN ('open', 'spent', 'orphaned')
               ORDER BY t.opened_at DESC LIMIT 32) l
             ORDER BY l.opened_at) q;
      END IF;
    END IF;

    INSERT INTO {{schema}}.governance_tickets
      (root, ticket, agent, session, state, verdict, held_usd, held_tokens, day, opened_at, expires_at, tool, model, signature, facts)
    VALUES (p_root, p_ticket, p_agent, p_session, 'open', 'Admitted', p_usd, p_tokens, day, v_now,
      v_now + p_lease_ms * interval '1 millisecond', p_tool, p_model, p_signature, p_facts::json);
    IF NOT v_ready THEN
      INSERT INTO {{schema}}.governance_cost_counters (root, agent, scope, started_at)
      SELECT p_root, u.agent, u.scope, v_now
        FROM unnest(v_path || v_path, array_fill('s:' || p_session, ARRAY[cardinality(v_path)])
               || array_fill('d:' || day, ARRAY[cardinality(v_path)])) AS u(agent, scope)
      ON CONFLICT DO NOTHING;
    END IF;
    IF p_usd > 0 OR p_tokens > 0 THEN
      UPDATE {{schema}}.governance_cost_counters c SET held_usd = c.held_usd + p_usd, held_tokens = c.held_tokens + p_tokens
       WHERE c.root = p_root AND c.agent = ANY (v_path) AND c.scope IN ('s:' || p_session, 'd:' || day);
    END IF;
    IF v_windowed THEN
      UPDATE {{schema}}.governance_loop_windows w SET calls = v_calls || v_us
       WHERE w.root = p_root AND w.agent = p_agent AND w.session = p_session AND w.tool = p_tool;
    ELSIF v_loop IS NOT NULL THEN
      INSERT INTO {{schema}}.governance_loop_windows (root, agent, session, tool, calls)
      VALUES (p_root, p_agent, p_session, p_tool, ARRAY[v_us]);
    END IF;
    verdict := 'Admitted';
    held_usd := p_usd;
    held_tokens := p_tokens;
    RETURN;
  END lane;
  SELECT g.verdicts[1], g.days[1], g.held_usd[1], g.held_tokens[1], g.details[1],
         -- Of a known ticket those before it, which come last.
         g.recent_signatures[CASE WHEN starts_with(g.verdicts[1], '=') THEN coalesce(array_position(g.recent_of, -1), 1000) ELSE 1 END:],
         g.recent_results[CASE WHEN starts_with(g.verdicts[1], '=') THEN coalesce(array_position(g.recent_of, -1), 1000) ELSE 1 END:]
    INTO verdict, day, held_usd, held_tokens, detail, recent_signatures, recent_results
    FROM {{schema}}.governance_admit(p_root, ARRAY[p_agent], ARRAY[p_session],
      CASE WHEN p_tool IS NULL THEN '{}'::int[] ELSE '{1}' END, CASE WHEN p_tool IS NULL THEN '{}'::text[] ELSE ARRAY[p_tool] END,
      ARRAY[p_ticket], '{1}', CASE WHEN p_tool IS NULL THEN '{0}'::int[] ELSE '{1}' END, ARRAY[p_signature], ARRAY[p_usd],
      ARRAY[p_tokens], ARRAY[p_lease_ms], ARRAY[p_model], ARRAY[p_facts]) g;
END $$;

-- Settles many tickets of one tree, each once; a repeated ticket within one batch acts once. p_kinds: Spent (with amounts),
-- Held, Refused, Orphaned. Outcomes: settled, late (an orphan's charge was corrected), already, unknown.
CREATE FUNCTION {{schema}}.governance_settle(
  p_root text, p_tickets uuid[], p_kinds text[], p_usd bigint[], p_tokens bigint[], p_models text[], p_hashes text[],
  OUT outcomes text[], OUT charged_usd bigint[], OUT charged_tokens bigint[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_now    timestamptz;
  x_ticket uuid[]; x_kind text[]; x_agent text[]; x_session text[]; x_day text[]; x_hash text[];
  x_usd bigint[]; x_tokens bigint[]; x_was_usd bigint[]; x_was_tokens bigint[]; x_held_usd bigint[]; x_held_tokens bigint[];
  x_model text[]; x_was_model text[];
  d_agent text[]; d_scope text[]; d_used_usd bigint[]; d_held_usd bigint[]; d_used_tokens bigint[]; d_held_tokens bigint[];
  m_agent text[]; m_model text[]; m_usd bigint[]; m_tokens bigint[];
BEGIN
  PERFORM 1 FROM {{schema}}.governance_trees t WHERE t.root = p_root FOR NO KEY UPDATE;
  v_now := {{schema}}.governance_now();

  SELECT array_agg(q.outcome ORDER BY q.nr), array_agg(q.usd ORDER BY q.nr), array_agg(q.tokens ORDER BY q.nr),
         array_agg(q.ticket ORDER BY q.nr) FILTER (WHERE q.acts), array_agg(q.kind ORDER BY q.nr) FILTER (WHERE q.acts),
         array_agg(q.agent ORDER BY q.nr) FILTER (WHERE q.acts), array_agg(q.session ORDER BY q.nr) FILTER (WHERE q.acts),
         array_agg(q.day ORDER BY q.nr) FILTER (WHERE q.acts), array_agg(q.hash ORDER BY q.nr) FILTER (WHERE q.acts),
         array_agg(q.usd ORDER BY q.nr) FILTER (WHERE q.acts), array_agg(q.tokens ORDER BY q.nr) FILTER (WHERE q.acts),
         array_agg(q.was_usd ORDER BY q.nr) FILTER (WHERE q.acts), array_agg(q.was_tokens ORDER BY q.nr) FILTER (WHERE q.acts),
         array_agg(q.held_usd ORDER BY q.nr) FILTER (WHERE q.acts), array_agg(q.held_tokens ORDER BY q.nr) FILTER (WHERE q.acts),
         array_agg(q.model ORDER BY q.nr) FILTER (WHERE q.acts), array_agg(q.was_model ORDER BY q.nr) FILTER (WHERE q.acts)
    INTO outcomes, charged_usd, charged_tokens, x_ticket, x_kind, x_agent, x_session, x_day, x_hash, x_usd, x_tokens,
         x_was_usd, x_was_tokens, x_held_usd, x_held_tokens, x_model, x_was_model
    FROM (
      SELECT u.nr, u.ticket, u.kind, u.hash, t.agent, t.session, t.day, o.outcome IN ('settled', 'late') AS acts, o.outcome,
             CASE WHEN o.outcome NOT IN ('settled', 'late') THEN coalesce(t.settled_usd, 0)
                  WHEN u.kind = 'Spent' THEN u.usd WHEN u.kind = 'Refused' THEN 0 ELSE t.held_usd END AS usd,
             CASE WHEN o.outcome NOT IN ('settled', 'late') THEN coalesce(t.settled_tokens, 0)
                  WHEN u.kind = 'Spent' THEN u.tokens WHEN u.kind = 'Refused' THEN 0 ELSE t.held_tokens END AS tokens,
             t.settled_usd AS was_usd, t.settled_tokens AS was_tokens,
             CASE t.state WHEN 'open' THEN t.held_usd ELSE 0 END AS held_usd,
             CASE t.state WHEN 'open' THEN t.held_tokens ELSE 0 END AS held_tokens,
             coalesce(CASE u.kind WHEN 'Spent' THEN u.model END, t.model) AS model, t.charged_model AS was_model
        FROM unnest(p_tickets, p_kinds, p_usd, p_tokens, p_models, p_hashes)
               WITH ORDINALITY AS u(ticket, kind, usd, tokens, model, hash, nr)
        LEFT JOIN LATERAL (
          SELECT t.* FROM {{schema}}.governance_tickets t WHERE t.root = p_root AND t.ticket = u.ticket LIMIT 1) t ON true
       CROSS JOIN LATERAL (
         SELECT CASE WHEN t.ticket IS NULL THEN 'unknown'
                     WHEN array_position(p_tickets, u.ticket) < u.nr THEN 'already'
                     WHEN t.state = 'open' THEN 'settled'
                     WHEN t.state = 'orphaned' AND u.kind <> 'Orphaned' THEN 'late'
                     ELSE 'already' END AS outcome) o
    ) q;
  IF x_ticket IS NULL THEN RETURN; END IF;

  UPDATE {{schema}}.governance_tickets t
     SET state = CASE x.kind WHEN 'Refused' THEN 'released' WHEN 'Orphaned' THEN 'orphaned' ELSE 'spent' END,
         settled_at = v_now, settled_usd = x.usd, settled_tokens = x.tokens, charged_model = x.model,
         result_hash = coalesce(x.hash, t.result_hash)
    FROM unnest(x_ticket, x_kind, x_usd, x_tokens, x_model, x_hash) AS x(ticket, kind, usd, tokens, model, hash)
   WHERE t.root = p_root AND t.ticket = x.ticket AND t.ticket = ANY (x_ticket);

  SELECT array_agg(q.agent), array_agg(q.scope), array_agg(q.used_usd), array_agg(q.held_usd), array_agg(q.used_tokens),
         array_agg(q.held_tokens)
    INTO d_agent, d_scope, d_used_usd, d_held_usd, d_used_tokens, d_held_tokens
    FROM (
      SELECT pa.agent, sc.scope, sum(x.used_usd)::bigint AS used_usd, - sum(x.held_usd)::bigint AS held_usd,
             sum(x.used_tokens)::bigint AS used_tokens, - sum(x.held_tokens)::bigint AS held_tokens
        FROM (
          SELECT x.agent, x.session, x.day, sum(x.usd - x.was_usd) AS used_usd, sum(x.tokens - x.was_tokens) AS used_tokens,
                 sum(x.held_usd) AS held_usd, sum(x.held_tokens) AS held_tokens
            FROM unnest(x_agent, x_session, x_day, x_usd, x_tokens, x_was_usd, x_was_tokens, x_held_usd, x_held_tokens)
              AS x(agent, session, day, usd, tokens, was_usd, was_tokens, held_usd, held_tokens)
           GROUP BY 1, 2, 3) x
       CROSS JOIN LATERAL (SELECT a.path FROM {{schema}}.governance_agents a WHERE a.agent = x.agent LIMIT 1) a
       CROSS JOIN LATERAL unnest(a.path) AS pa(agent)
       CROSS JOIN LATERAL (VALUES ('s:' || x.session), ('d:' || x.day)) AS sc(scope)
       GROUP BY 1, 2
    ) q
   WHERE q.used_usd <> 0 OR q.held_usd <> 0 OR q.used_tokens <> 0 OR q.held_tokens <> 0;
  IF d_agent IS NOT NULL THEN
    PERFORM {{schema}}.governance_add_counters(p_root, v_now, d_agent, d_scope, d_used_usd, d_held_usd, d_used_tokens, d_held_tokens);
  END IF;

  SELECT array_agg(q.agent), array_agg(q.model), array_agg(q.usd), array_agg(q.tokens) INTO m_agent, m_model, m_usd, m_tokens
    FROM (
      SELECT pa.agent, c.model, sum(c.usd)::bigint AS usd, sum(c.tokens)::bigint AS tokens
        FROM unnest(x_agent, x_model, x_usd, x_tokens, x_was_model, x_was_usd, x_was_tokens)
               AS x(agent, model, usd, tokens, was_model, was_usd, was_tokens)
       CROSS JOIN LATERAL (VALUES (x.model, x.usd, x.tokens), (x.was_model, - x.was_usd, - x.was_tokens)) AS c(model, usd, tokens)
       CROSS JOIN LATERAL (SELECT a.path FROM {{schema}}.governance_agents a WHERE a.agent = x.agent LIMIT 1) a
       CROSS JOIN LATERAL unnest(a.path) AS pa(agent)
       WHERE c.model IS NOT NULL AND (c.usd <> 0 OR c.tokens <> 0)
       GROUP BY 1, 2
    ) q;
  IF m_agent IS NOT NULL THEN
    PERFORM {{schema}}.governance_add_models(p_root, m_agent, m_model, m_usd, m_tokens);
  END IF;
END $$;

-- One settlement alone. The fast lane for a ticket that is open; whatever else is the case is left to governance_settle.
CREATE FUNCTION {{schema}}.governance_settle_one(
  p_root text, p_ticket uuid, p_kind text, p_usd bigint, p_tokens bigint, p_model text, p_hash text,
  OUT outcome text, OUT charged_usd bigint, OUT charged_tokens bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_now         timestamptz;
  v_agent       text;
  v_session     text;
  v_day         text;
  v_held_usd    bigint;
  v_held_tokens bigint;
  v_model       text;
  v_path        text[];
  v_changed     int;
BEGIN
  PERFORM 1 FROM {{schema}}.governance_trees t WHERE t.root = p_root FOR NO KEY UPDATE;
  v_now := {{schema}}.governance_now();
  -- Reads and writes in one step: whoever settles holds the tree's row.
  UPDATE {{schema}}.governance_tickets t
     SET state = CASE p_kind WHEN 'Refused' THEN 'released' WHEN 'Orphaned' THEN 'orphaned' ELSE 'spent' END,
         settled_at = v_now,
         settled_usd = CASE p_kind WHEN 'Spent' THEN p_usd WHEN 'Refused' THEN 0 ELSE t.held_usd END,
         settled_tokens = CASE p_kind WHEN 'Spent' THEN p_tokens WHEN 'Refused' THEN 0 ELSE t.held_tokens END,
         charged_model = coalesce(CASE p_kind WHEN 'Spent' THEN p_model END, t.model),
         result_hash = coalesce(p_hash, t.result_hash)
   WHERE t.root = p_root AND t.ticket = p_ticket AND t.state = 'open'
  RETURNING t.agent, 's:' || t.session, 'd:' || t.day, t.held_usd, t.held_tokens, t.settled_usd, t.settled_tokens, t.charged_model
    INTO v_agent, v_session, v_day, v_held_usd, v_held_tokens, charged_usd, charged_tokens, v_model;
  IF NOT FOUND THEN
    SELECT g.outcomes[1], g.charged_usd[1], g.charged_tokens[1] INTO outcome, charged_usd, charged_tokens
      FROM {{schema}}.governance_settle(p_root, ARRAY[p_ticket], ARRAY[p_kind], ARRAY[p_usd], ARRAY[p_tokens], ARRAY[p_model], ARRAY[p_hash]) g;
    RETURN;
  END IF;
  outcome := 'settled';
  IF v_held_usd > 0 OR v_held_tokens > 0 OR charged_usd > 0 OR charged_tokens > 0 THEN
    SELECT a.path INTO v_path FROM {{schema}}.governance_agents a WHERE a.agent = v_agent;
    UPDATE {{schema}}.governance_cost_counters c
       SET used_usd = c.used_usd + charged_usd, held_usd = c.held_usd - v_held_usd,
           used_tokens = c.used_tokens + charged_tokens, held_tokens = c.held_tokens - v_held_tokens
     WHERE c.root = p_root AND c.agent = ANY (v_path) AND c.scope IN (v_session, v_day);
    GET DIAGNOSTICS v_changed = ROW_COUNT;
    -- Admission makes the counters; one that somebody deleted comes back with what was spent.
    IF v_changed <> 2 * cardinality(v_path) THEN
      INSERT INTO {{schema}}.governance_cost_counters (root, agent, scope, used_usd, used_tokens, started_at)
      SELECT p_root, u.agent, s.scope, charged_usd, charged_tokens, v_now
        FROM unnest(v_path) AS u(agent) CROSS JOIN (VALUES (v_session), (v_day)) AS s(scope)
      ON CONFLICT DO NOTHING;
    END IF;
    IF v_model IS NOT NULL AND (charged_usd > 0 OR charged_tokens > 0) THEN
      INSERT INTO {{schema}}.governance_cost_models AS m (root, agent, model, usd, tokens)
      SELECT p_root, u.agent, v_model, charged_usd, charged_tokens FROM unnest(v_path) AS u(agent)
      ON CONFLICT (root, agent, model) DO UPDATE SET usd = m.usd + EXCLUDED.usd, tokens = m.tokens + EXCLUDED.tokens;
    END IF;
  END IF;
END $$;

CREATE FUNCTION {{schema}}.governance_renew(p_root text, p_ticket uuid, p_lease_ms bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_until timestamptz := {{schema}}.governance_now() + p_lease_ms * interval '1 millisecond';
BEGIN
  UPDATE {{schema}}.governance_tickets t SET expires_at = v_until
   WHERE t.root = p_root AND t.ticket = p_ticket AND t.state = 'open';
  RETURN FOUND;
END $$;

-- Forgets those of the given tickets whose outcome is 24 hours old. Returns how many went.
CREATE FUNCTION {{schema}}.governance_forget(p_root text, p_tickets uuid[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_before timestamptz := {{schema}}.governance_now() - interval '24 hours';
  v_gone   bigint;
BEGIN
  DELETE FROM {{schema}}.governance_tickets t
   WHERE t.root = p_root AND t.ticket = ANY (p_tickets) AND t.settled_at <= v_before;
  GET DIAGNOSTICS v_gone = ROW_COUNT;
  DELETE FROM {{schema}}.governance_cost_tracked c WHERE c.root = p_root AND c.at <= v_before;
  RETURN v_gone;
END $$;

REVOKE ALL ON {{schema}}.governance_tickets FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_admit FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_admit_one FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_settle FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_settle_one FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_renew FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_forget FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_tickets FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_tickets TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_admit TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_admit_one TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_settle TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_settle_one TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_renew TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_forget TO {{app_role}};
-- {{/app_role}}
