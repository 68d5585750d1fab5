-- Agents, who delegated to whom, who is halted, who was seen.
--
-- Placeholders and app_role markers: see 0001_audit.sql. Rules for whoever edits 0002 to 0005: the root of the agent's tree
-- is first in every key and hot statement; whoever changes what belongs to a tree takes the tree's row first; time is
-- governance_now(), the database's clock; no volatile function in DO UPDATE.

-- The clock of every decision in 0002 to 0005. Tests replace it; the runtime role cannot.
CREATE FUNCTION {{schema}}.governance_now() RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$ SELECT clock_timestamp() $$;

-- Written before an agent's first use, never changed. The path goes from the root to the agent itself.
CREATE TABLE {{schema}}.governance_agents (
  agent  text COLLATE "C" PRIMARY KEY CHECK (octet_length(agent) BETWEEN 1 AND 2048),
  parent text COLLATE "C",
  root   text COLLATE "C" NOT NULL,
  path   text[] COLLATE "C" NOT NULL CHECK (cardinality(path) BETWEEN 1 AND 16),
  CHECK (path[1] = root AND path[cardinality(path)] = agent),
  CHECK ((parent IS NULL) = (root = agent))
);

-- The row that serialises a tree: admission, settlement, halt and resume lock it, so that a halt commits wholly before or
-- wholly after an admission. halts: agent -> {by, at, reason}.
CREATE TABLE {{schema}}.governance_trees (
  root    text COLLATE "C" PRIMARY KEY,
  halts   jsonb NOT NULL DEFAULT '{}',
  version bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX governance_trees_halted ON {{schema}}.governance_trees (root) WHERE halts <> '{}';

CREATE TABLE {{schema}}.governance_presence (
  root          text COLLATE "C" NOT NULL,
  agent         text COLLATE "C" NOT NULL,
  status        text NOT NULL CHECK (status IN ('live', 'idle', 'unresponsive')),
  last_seen     timestamptz NOT NULL,
  operator_id   text,
  metadata_json jsonb NOT NULL DEFAULT '{}' CHECK (octet_length(metadata_json::text) <= 262144),
  PRIMARY KEY (root, agent)
) WITH (fillfactor = 70);

-- What readers of the documented table see: the caller's metadata with the halt's marker keys laid over it. The marker lives
-- in governance_trees, where no heartbeat can write.
CREATE VIEW {{schema}}.governance_agent_presence AS
SELECT p.agent AS agent_id, p.root, p.status, p.last_seen, p.operator_id,
       p.metadata_json || coalesce((
         SELECT jsonb_build_object('_halted_by', t.halts -> p.agent -> 'by', '_halted_at', t.halts -> p.agent -> 'at',
                                   '_halt_reason', t.halts -> p.agent -> 'reason')
           FROM {{schema}}.governance_trees t WHERE t.root = p.root AND t.halts ? p.agent), '{}') AS metadata_json
  FROM {{schema}}.governance_presence p;

-- Makes the agent's row if there is none; a parent of null claims nothing about an agent that is there.
CREATE FUNCTION {{schema}}.governance_enrol(p_agent text, p_parent text, OUT r_outcome text, OUT r_root text, OUT r_path text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_parent text;
BEGIN
  SELECT a.root, a.path, a.parent INTO r_root, r_path, v_parent FROM {{schema}}.governance_agents a WHERE a.agent = p_agent;
  IF NOT FOUND THEN
    IF p_parent IS NULL THEN
      INSERT INTO {{schema}}.governance_agents (agent, parent, root, path)
      VALUES (p_agent, NULL, p_agent, ARRAY[p_agent]) ON CONFLICT DO NOTHING;
    ELSE
      SELECT a.root, a.path INTO r_root, r_path FROM {{schema}}.governance_agents a WHERE a.agent = p_parent;
      IF NOT FOUND THEN r_outcome := 'ParentUnknown'; RETURN; END IF;
      IF cardinality(r_path) >= 16 THEN r_outcome := 'TooDeep'; RETURN; END IF;
      INSERT INTO {{schema}}.governance_agents (agent, parent, root, path)
      VALUES (p_agent, p_parent, r_root, r_path || p_agent) ON CONFLICT DO NOTHING;
    END IF;
    SELECT a.root, a.path, a.parent INTO r_root, r_path, v_parent FROM {{schema}}.governance_agents a WHERE a.agent = p_agent;
    INSERT INTO {{schema}}.governance_trees (root) VALUES (r_root) ON CONFLICT DO NOTHING;
  END IF;
  r_outcome := CASE WHEN p_parent IS NULL OR v_parent IS NOT DISTINCT FROM p_parent THEN 'Enrolled' ELSE 'AgentExists' END;
END $$;

-- Idempotent: a second halt changes nothing and returns the first.
CREATE FUNCTION {{schema}}.governance_halt(p_agent text, p_by text, p_reason text, OUT r_changed boolean, OUT r_halt jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_root text;
BEGIN
  SELECT e.r_root INTO v_root FROM {{schema}}.governance_enrol(p_agent, NULL) e;
  SELECT t.halts -> p_agent INTO r_halt FROM {{schema}}.governance_trees t WHERE t.root = v_root FOR NO KEY UPDATE;
  r_changed := r_halt IS NULL;
  IF r_changed THEN
    r_halt := jsonb_build_object('by', p_by, 'reason', p_reason,
      'at', to_char({{schema}}.governance_now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'));
    UPDATE {{schema}}.governance_trees t
       SET halts = t.halts || jsonb_build_object(p_agent, r_halt), version = t.version + 1 WHERE t.root = v_root;
  END IF;
END $$;

-- Returns the halt that was lifted, null when there was none.
CREATE FUNCTION {{schema}}.governance_resume(p_agent text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_root text;
  v_halt jsonb;
BEGIN
  SELECT a.root INTO v_root FROM {{schema}}.governance_agents a WHERE a.agent = p_agent;
  SELECT t.halts -> p_agent INTO v_halt FROM {{schema}}.governance_trees t WHERE t.root = v_root FOR NO KEY UPDATE;
  IF v_halt IS NOT NULL THEN
    UPDATE {{schema}}.governance_trees t SET halts = t.halts - p_agent, version = t.version + 1 WHERE t.root = v_root;
  END IF;
  RETURN v_halt;
END $$;

-- Metadata is merged by key; null metadata and a null operator leave what is there. Keys that begin with _halt are the halt's (PRS-16).
CREATE FUNCTION {{schema}}.governance_heartbeat(p_agent text, p_status text, p_operator text, p_metadata jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_root text;
  v_kept jsonb;
BEGIN
  SELECT e.r_root INTO v_root FROM {{schema}}.governance_enrol(p_agent, NULL) e;
  IF p_metadata IS NOT NULL THEN
    SELECT coalesce(jsonb_object_agg(m.key, m.value), '{}') INTO v_kept
      FROM jsonb_each(p_metadata) m WHERE NOT starts_with(m.key, '_halt');
  END IF;
  INSERT INTO {{schema}}.governance_presence AS p (root, agent, status, last_seen, operator_id, metadata_json)
  VALUES (v_root, p_agent, p_status, {{schema}}.governance_now(), p_operator, coalesce(v_kept, '{}'))
  ON CONFLICT (root, agent) DO UPDATE SET status = EXCLUDED.status, last_seen = EXCLUDED.last_seen,
    operator_id = coalesce(EXCLUDED.operator_id, p.operator_id),
    metadata_json = p.metadata_json || EXCLUDED.metadata_json;
END $$;

CREATE FUNCTION {{schema}}.governance_forget_presence(p_agent text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_root text;
BEGIN
  SELECT a.root INTO v_root FROM {{schema}}.governance_agents a WHERE a.agent = p_agent;
  DELETE FROM {{schema}}.governance_presence p WHERE p.root = v_root AND p.agent = p_agent;
END $$;

CREATE FUNCTION {{schema}}.governance_mark_stale(p_timeout_ms bigint) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_before timestamptz := {{schema}}.governance_now() - p_timeout_ms * interval '1 millisecond';
BEGIN
  RETURN QUERY UPDATE {{schema}}.governance_presence p SET status = 'unresponsive'
    WHERE p.last_seen < v_before AND p.status <> 'unresponsive' RETURNING p.agent;
END $$;

REVOKE ALL ON {{schema}}.governance_agents, {{schema}}.governance_trees, {{schema}}.governance_presence,
  {{schema}}.governance_agent_presence FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_now FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_enrol FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_halt FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_resume FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_heartbeat FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_forget_presence FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_mark_stale FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_agents, {{schema}}.governance_trees, {{schema}}.governance_presence,
  {{schema}}.governance_agent_presence FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_agents, {{schema}}.governance_trees, {{schema}}.governance_presence,
  {{schema}}.governance_agent_presence TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_now TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_enrol TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_halt TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_resume TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_heartbeat TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_forget_presence TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_mark_stale TO {{app_role}};
-- {{/app_role}}
