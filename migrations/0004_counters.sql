-- What is counted: money and tokens per session and UTC day, money per model, calls per sliding window.
--
-- Placeholders, markers and rules: see 0001_audit.sql and 0002_presence.sql. Money is nano-USD. A session of '' stands for
-- calls without one: they share it, so that leaving the session out escapes no cap.
-- Functions without SECURITY DEFINER are parts of those that have it: they inherit owner and search_path from their caller,
-- who MUST hold the tree's row. Lookups are LATERAL ... LIMIT 1, or have = ANY beside the join, so that a plan that was made
-- on empty tables still goes by the whole key when they are full.

-- A domain and not CHECKs of the tables: those are parsed again for every statement that writes.
CREATE DOMAIN {{schema}}.governance_amount AS bigint CHECK (VALUE >= 0);

-- scope: 's:<session>' or 'd:<YYYY-MM-DD>'. One row for every agent of a call's path. started_at is a session's first call.
CREATE TABLE {{schema}}.governance_cost_counters (
  root        text COLLATE "C" NOT NULL,
  agent       text COLLATE "C" NOT NULL,
  scope       text COLLATE "C" NOT NULL,
  used_usd    {{schema}}.governance_amount NOT NULL DEFAULT 0,
  held_usd    {{schema}}.governance_amount NOT NULL DEFAULT 0,
  used_tokens {{schema}}.governance_amount NOT NULL DEFAULT 0,
  held_tokens {{schema}}.governance_amount NOT NULL DEFAULT 0,
  started_at  timestamptz NOT NULL,
  PRIMARY KEY (root, agent, scope)
) WITH (fillfactor = 50);

CREATE TABLE {{schema}}.governance_cost_models (
  root   text COLLATE "C" NOT NULL,
  agent  text COLLATE "C" NOT NULL,
  model  text COLLATE "C" NOT NULL,
  usd    {{schema}}.governance_amount NOT NULL,
  tokens {{schema}}.governance_amount NOT NULL,
  PRIMARY KEY (root, agent, model)
) WITH (fillfactor = 50);

-- The ids of amounts that were added directly, so that a repeated one adds nothing.
CREATE TABLE {{schema}}.governance_cost_tracked (
  root text COLLATE "C" NOT NULL,
  id   text COLLATE "C" NOT NULL CHECK (octet_length(id) BETWEEN 1 AND 2048),
  at   timestamptz NOT NULL,
  PRIMARY KEY (root, id)
);
CREATE INDEX governance_cost_tracked_at ON {{schema}}.governance_cost_tracked (at);

-- calls: microseconds, oldest first, only what lies in the window and at most 32 more than the policy allows.
CREATE TABLE {{schema}}.governance_loop_windows (
  root    text COLLATE "C" NOT NULL,
  agent   text COLLATE "C" NOT NULL,
  session text COLLATE "C" NOT NULL,
  tool    text COLLATE "C" NOT NULL,
  calls   bigint[] NOT NULL,
  PRIMARY KEY (root, agent, session, tool)
) WITH (fillfactor = 50);

-- Counts p_new calls in each window and returns by window how many lay in it before; nulls where the agent has no policy.
CREATE FUNCTION {{schema}}.governance_count_calls(
  p_root text, p_now timestamptz, p_agents text[], p_sessions text[], p_tools text[], p_new int[],
  OUT r_before int[], OUT r_most int[], OUT r_seconds int[], OUT r_raises boolean[]
) LANGUAGE plpgsql AS $$
DECLARE
  v_us bigint := extract(epoch FROM p_now) * 1000000;
BEGIN
  SELECT array_agg(q.before ORDER BY q.nr), array_agg(q.most ORDER BY q.nr), array_agg(q.seconds ORDER BY q.nr),
         array_agg(q.raises ORDER BY q.nr)
    INTO r_before, r_most, r_seconds, r_raises
    FROM (
      SELECT u.nr, l.limits[1]::int AS most, l.limits[2]::int AS seconds, l.limits[3] = 1 AS raises,
             (SELECT count(*)::int FROM unnest(w.calls) AS c(at) WHERE c.at > v_us - l.limits[2] * 1000000) AS before
        FROM unnest(p_agents, p_sessions, p_tools) WITH ORDINALITY AS u(agent, session, tool, nr)
        LEFT JOIN LATERAL (
          SELECT l.limits FROM {{schema}}.governance_policies l WHERE l.agent = u.agent AND l.kind = 'loop' LIMIT 1) l ON true
        LEFT JOIN LATERAL (
          SELECT w.calls FROM {{schema}}.governance_loop_windows w
           WHERE w.root = p_root AND w.agent = u.agent AND w.session = u.session AND w.tool = u.tool LIMIT 1) w ON true
    ) q;
  IF r_most IS NULL OR cardinality(array_remove(r_most, NULL)) = 0 THEN RETURN; END IF;
  INSERT INTO {{schema}}.governance_loop_windows AS w (root, agent, session, tool, calls)
  SELECT p_root, u.agent, u.session, u.tool, n.calls[greatest(1, cardinality(n.calls) - u.most - 31):]
    FROM unnest(p_agents, p_sessions, p_tools, p_new, r_before, r_most) AS u(agent, session, tool, new, before, most)
    LEFT JOIN LATERAL (
      SELECT o.calls FROM {{schema}}.governance_loop_windows o
       WHERE o.root = p_root AND o.agent = u.agent AND o.session = u.session AND o.tool = u.tool LIMIT 1) o ON true
   CROSS JOIN LATERAL (
     SELECT coalesce(o.calls[cardinality(o.calls) - u.before + 1:], '{}')
            || array_fill(v_us, ARRAY[least(u.new, u.most + 32)]) AS calls) n
   WHERE u.most IS NOT NULL AND u.new > 0
  ON CONFLICT (root, agent, session, tool) DO UPDATE SET calls = EXCLUDED.calls;
END $$;

-- Everything that money is decided by, for all (agent, session) pairs of a batch at once: r_* has one element for every
-- agent on a pair's path, root first; c_* one for every counter, which r_session and r_day point at.
CREATE FUNCTION {{schema}}.governance_read_counters(
  p_root text, p_day text, p_agents text[], p_sessions text[],
  OUT r_pair int[], OUT r_agent text[], OUT r_limits bigint[], OUT r_session int[], OUT r_day int[],
  OUT c_agent text[], OUT c_scope text[], OUT c_usd bigint[], OUT c_tokens bigint[], OUT c_started timestamptz[]
) LANGUAGE plpgsql AS $$
DECLARE
  v_sessions int;
BEGIN
  SELECT array_agg(q.nr), array_agg(q.agent), array_agg(q.limits), array_agg(q.si), array_agg(q.di), max(q.si)
    INTO r_pair, r_agent, r_limits, r_session, r_day, v_sessions
    FROM (
      SELECT g.nr::int AS nr, x.agent, coalesce(b.limits, '{-1,-1,-1,-1,-1}') AS limits,
             dense_rank() OVER (ORDER BY x.agent COLLATE "C", g.session COLLATE "C")::int AS si,
             dense_rank() OVER (ORDER BY x.agent COLLATE "C")::int AS di
        FROM unnest(p_agents, p_sessions) WITH ORDINALITY AS g(agent, session, nr)
       CROSS JOIN LATERAL (SELECT a.root, a.path FROM {{schema}}.governance_agents a WHERE a.agent = g.agent LIMIT 1) a
       CROSS JOIN LATERAL unnest(a.path) WITH ORDINALITY AS x(agent, pos)
        LEFT JOIN LATERAL (
          SELECT b.limits FROM {{schema}}.governance_policies b WHERE b.agent = x.agent AND b.kind = 'budget' LIMIT 1) b ON true
       WHERE a.root = p_root
       ORDER BY g.nr, x.pos
    ) q;
  SELECT array_agg(k.agent ORDER BY k.i), array_agg(k.scope ORDER BY k.i),
         array_agg(coalesce(c.used_usd + c.held_usd, 0) ORDER BY k.i),
         array_agg(coalesce(c.used_tokens + c.held_tokens, 0) ORDER BY k.i), array_agg(c.started_at ORDER BY k.i)
    INTO c_agent, c_scope, c_usd, c_tokens, c_started
    FROM (
      SELECT u.si AS i, u.agent, 's:' || p_sessions[u.pair] AS scope FROM unnest(r_pair, r_agent, r_session) AS u(pair, agent, si)
      UNION
      SELECT v_sessions + u.di, u.agent, 'd:' || p_day FROM unnest(r_agent, r_day) AS u(agent, di)
    ) k
    LEFT JOIN LATERAL (
      SELECT c.used_usd, c.held_usd, c.used_tokens, c.held_tokens, c.started_at FROM {{schema}}.governance_cost_counters c
       WHERE c.root = p_root AND c.agent = k.agent AND c.scope = k.scope LIMIT 1) c ON true;
  SELECT array_agg(v_sessions + u.di ORDER BY u.nr) INTO r_day FROM unnest(r_day) WITH ORDINALITY AS u(di, nr);
END $$;

-- Adds to counters, and makes those that are not there; scopes are distinct per agent.
CREATE FUNCTION {{schema}}.governance_add_counters(
  p_root text, p_now timestamptz, p_agents text[], p_scopes text[], p_used_usd bigint[], p_held_usd bigint[],
  p_used_tokens bigint[], p_held_tokens bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- A change may be negative, and a proposed row is checked before the conflict is seen: the row first, then the change.
  INSERT INTO {{schema}}.governance_cost_counters (root, agent, scope, started_at)
  SELECT p_root, u.agent, u.scope, p_now FROM unnest(p_agents, p_scopes) AS u(agent, scope)
  ON CONFLICT DO NOTHING;
  UPDATE {{schema}}.governance_cost_counters c
     SET used_usd = c.used_usd + u.used_usd, held_usd = c.held_usd + u.held_usd,
         used_tokens = c.used_tokens + u.used_tokens, held_tokens = c.held_tokens + u.held_tokens
    FROM unnest(p_agents, p_scopes, p_used_usd, p_held_usd, p_used_tokens, p_held_tokens)
      AS u(agent, scope, used_usd, held_usd, used_tokens, held_tokens)
   WHERE c.root = p_root AND c.agent = u.agent AND c.scope = u.scope
     AND c.agent = ANY (p_agents) AND c.scope = ANY (p_scopes);
END $$;

-- Adds to the spending by model. A change may be negative: an orphan's charge that is corrected.
CREATE FUNCTION {{schema}}.governance_add_models(p_root text, p_agents text[], p_models text[], p_usd bigint[], p_tokens bigint[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {{schema}}.governance_cost_models (root, agent, model, usd, tokens)
  SELECT p_root, u.agent, u.model, 0, 0 FROM (SELECT DISTINCT agent, model FROM unnest(p_agents, p_models) AS d(agent, model)) u
   ORDER BY u.agent COLLATE "C", u.model COLLATE "C"
  ON CONFLICT DO NOTHING;
  UPDATE {{schema}}.governance_cost_models m SET usd = m.usd + s.usd, tokens = m.tokens + s.tokens
    FROM (SELECT u.agent, u.model, sum(u.usd)::bigint AS usd, sum(u.tokens)::bigint AS tokens
            FROM unnest(p_agents, p_models, p_usd, p_tokens) AS u(agent, model, usd, tokens) GROUP BY 1, 2) s
   WHERE m.root = p_root AND m.agent = s.agent AND m.model = s.model
     AND m.agent = ANY (p_agents) AND m.model = ANY (p_models);
END $$;

-- Adds what was spent to every counter of the agent's path, once for each id. False when the id is known.
CREATE FUNCTION {{schema}}.governance_track(
  p_agent text, p_id text, p_session text, p_model text, p_usd bigint, p_tokens bigint
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_root text;
  v_path text[];
  v_now  timestamptz;
  v_n    int;
BEGIN
  IF p_usd < 0 OR p_tokens < 0 THEN RAISE EXCEPTION 'what is spent cannot be negative' USING ERRCODE = '22023'; END IF;
  SELECT e.r_root, e.r_path INTO v_root, v_path FROM {{schema}}.governance_enrol(p_agent, NULL) e;
  PERFORM 1 FROM {{schema}}.governance_trees t WHERE t.root = v_root FOR NO KEY UPDATE;
  v_now := {{schema}}.governance_now();
  INSERT INTO {{schema}}.governance_cost_tracked (root, id, at) VALUES (v_root, p_id, v_now) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  v_n := cardinality(v_path);
  PERFORM {{schema}}.governance_add_counters(v_root, v_now, v_path || v_path,
    array_fill('s:' || p_session, ARRAY[v_n]) || array_fill('d:' || to_char(v_now AT TIME ZONE 'UTC', 'YYYY-MM-DD'), ARRAY[v_n]),
    array_fill(p_usd, ARRAY[2 * v_n]), array_fill(0::bigint, ARRAY[2 * v_n]),
    array_fill(p_tokens, ARRAY[2 * v_n]), array_fill(0::bigint, ARRAY[2 * v_n]));
  IF p_model IS NOT NULL THEN
    PERFORM {{schema}}.governance_add_models(v_root, v_path, array_fill(p_model, ARRAY[v_n]), array_fill(p_usd, ARRAY[v_n]),
      array_fill(p_tokens, ARRAY[v_n]));
  END IF;
  RETURN true;
END $$;

-- Counts one call outside of admission; nulls when the agent has no policy.
CREATE FUNCTION {{schema}}.governance_record_call(
  p_agent text, p_session text, p_tool text, OUT r_count int, OUT r_most int, OUT r_seconds int, OUT r_raises boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_root text;
BEGIN
  PERFORM 1 FROM {{schema}}.governance_policies l WHERE l.agent = p_agent AND l.kind = 'loop' AND l.body IS NOT NULL;
  IF NOT FOUND THEN RETURN; END IF;
  SELECT e.r_root INTO v_root FROM {{schema}}.governance_enrol(p_agent, NULL) e;
  PERFORM 1 FROM {{schema}}.governance_trees t WHERE t.root = v_root FOR NO KEY UPDATE;
  SELECT c.r_before[1] + 1, c.r_most[1], c.r_seconds[1], c.r_raises[1] INTO r_count, r_most, r_seconds, r_raises
    FROM {{schema}}.governance_count_calls(
      v_root, {{schema}}.governance_now(), ARRAY[p_agent], ARRAY[p_session], ARRAY[p_tool], ARRAY[1]) c;
END $$;

REVOKE ALL ON {{schema}}.governance_cost_counters, {{schema}}.governance_cost_models, {{schema}}.governance_cost_tracked,
  {{schema}}.governance_loop_windows FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_count_calls FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_read_counters FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_add_counters FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_add_models FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_track FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_record_call FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_cost_counters, {{schema}}.governance_cost_models, {{schema}}.governance_cost_tracked,
  {{schema}}.governance_loop_windows FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_cost_counters, {{schema}}.governance_cost_models, {{schema}}.governance_cost_tracked,
  {{schema}}.governance_loop_windows TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_track TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_record_call TO {{app_role}};
-- {{/app_role}}
