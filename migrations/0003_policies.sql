-- What agents may do and spend: one row per agent and kind. Scope, gate and audit policies are read by the processes; budgets
-- and loop limits also by admission, from the same rows.

-- Whole billionths of a dollar from decimal text. Anything else is refused: money is never rounded here.
CREATE FUNCTION {{schema}}.governance_nano_usd(p_usd text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_nano numeric := p_usd::numeric * 1000000000;
BEGIN
  IF v_nano = 'NaN' OR v_nano < 0 OR v_nano <> trunc(v_nano) THEN
    RAISE EXCEPTION 'not an amount of money' USING ERRCODE = '22023';
  END IF;
  RETURN v_nano::bigint;
END $$;

-- The numbers that admission needs of a body; -1 stands for "no limit".
--   budget: perSessionUsd, perSessionTokens, perAgentUsdDaily, perAgentTokensDaily, perSessionSeconds (the order of the tests)
--   loop:   maxCalls, windowSeconds, 1 when the action is to refuse
CREATE FUNCTION {{schema}}.governance_limits(p_kind text, p_body jsonb) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_limits bigint[];
BEGIN
  IF p_body IS NULL THEN RETURN NULL; END IF;
  CASE p_kind
    WHEN 'budget' THEN
      v_limits := ARRAY[
        coalesce({{schema}}.governance_nano_usd(p_body ->> 'perSessionUsd'), -1),
        coalesce((p_body ->> 'perSessionTokens')::bigint, -1),
        coalesce({{schema}}.governance_nano_usd(p_body ->> 'perAgentUsdDaily'), -1),
        coalesce((p_body ->> 'perAgentTokensDaily')::bigint, -1),
        coalesce((p_body ->> 'perSessionSeconds')::bigint, -1)];
    WHEN 'loop' THEN
      v_limits := ARRAY[(p_body ->> 'maxCalls')::bigint, (p_body ->> 'windowSeconds')::bigint,
        CASE coalesce(p_body ->> 'action', 'raise') WHEN 'raise' THEN 1 WHEN 'log' THEN 0 END];
      IF array_position(v_limits, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'not a loop policy' USING ERRCODE = '22023';
      END IF;
    ELSE NULL;
  END CASE;
  IF -1 > ANY (v_limits) THEN RAISE EXCEPTION 'a limit is negative' USING ERRCODE = '22023'; END IF;
  RETURN v_limits;
END $$;

-- A removed policy keeps its row with a null body, so that its version never comes back for another body.
CREATE TABLE {{schema}}.governance_policies (
  agent      text COLLATE "C" NOT NULL CHECK (octet_length(agent) BETWEEN 1 AND 2048),
  kind       text COLLATE "C" NOT NULL CHECK (kind IN ('scope', 'budget', 'loop', 'gate', 'audit')),
  body       jsonb,
  source     text NOT NULL CHECK (source IN ('code', 'operator')),
  version    bigint NOT NULL CHECK (version >= 1),
  updated_at timestamptz NOT NULL,
  limits     bigint[] GENERATED ALWAYS AS ({{schema}}.governance_limits(kind, body)) STORED,
  PRIMARY KEY (agent, kind)
);

-- Returns the row in force afterwards. Code replaces only what code wrote; the version grows only when something changed.
CREATE FUNCTION {{schema}}.governance_put_policy(
  p_agent text, p_kind text, p_body jsonb, p_source text, OUT r_body jsonb, OUT r_source text, OUT r_version bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_body IS NULL THEN RAISE EXCEPTION 'a policy needs a body' USING ERRCODE = '22004'; END IF;
  INSERT INTO {{schema}}.governance_policies AS p (agent, kind, body, source, version, updated_at)
  VALUES (p_agent, p_kind, p_body, p_source, 1, {{schema}}.governance_now())
  ON CONFLICT (agent, kind) DO UPDATE
    SET body = EXCLUDED.body, source = EXCLUDED.source, version = p.version + 1, updated_at = EXCLUDED.updated_at
    WHERE (p.body IS NULL OR p.source = 'code' OR EXCLUDED.source = 'operator')
      AND (p.body IS DISTINCT FROM EXCLUDED.body OR p.source <> EXCLUDED.source);
  SELECT p.body, p.source, p.version INTO r_body, r_source, r_version
    FROM {{schema}}.governance_policies p WHERE p.agent = p_agent AND p.kind = p_kind;
END $$;

-- Gives an operator's row back to code; false when no operator holds it.
CREATE FUNCTION {{schema}}.governance_release_policy(p_agent text, p_kind text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE {{schema}}.governance_policies p SET source = 'code', version = p.version + 1, updated_at = now()
   WHERE p.agent = p_agent AND p.kind = p_kind AND p.source = 'operator' AND p.body IS NOT NULL;
  RETURN FOUND;
END $$;

CREATE FUNCTION {{schema}}.governance_remove_policy(p_agent text, p_kind text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE {{schema}}.governance_policies p SET body = NULL, source = 'code', updated_at = now()
   WHERE p.agent = p_agent AND p.kind = p_kind AND p.body IS NOT NULL;
  RETURN FOUND;
END $$;

REVOKE ALL ON {{schema}}.governance_policies FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_nano_usd FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_limits FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_put_policy FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_release_policy FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_remove_policy FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_policies FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_policies TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_put_policy TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_release_policy TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_remove_policy TO {{app_role}};
-- {{/app_role}}
