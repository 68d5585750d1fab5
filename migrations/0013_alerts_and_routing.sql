-- Which budget alerts have been sent, so that a restart sends none again and of many processes one sends. And policies of one
-- more kind: which model a call had better use.
--
-- Placeholders, markers and rules: see 0001_audit.sql and 0002_presence.sql.

-- scope: 'd:<YYYY-MM-DD>' for one alert a day, 's:<session>' so that a session that stays above its threshold over midnight
-- has not crossed it again.
CREATE TABLE {{schema}}.governance_webhook_dedup (
  agent text COLLATE "C" NOT NULL CHECK (octet_length(agent) BETWEEN 1 AND 2048),
  cap   text COLLATE "C" NOT NULL CHECK (octet_length(cap) BETWEEN 1 AND 64),
  scope text COLLATE "C" NOT NULL CHECK (octet_length(scope) BETWEEN 2 AND 2050),
  at    timestamptz NOT NULL,
  PRIMARY KEY (agent, cap, scope)
);

-- True for one caller. p_session is null for a cap that counts the day.
CREATE FUNCTION {{schema}}.governance_claim_alert(p_agent text, p_cap text, p_day text, p_session text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now timestamptz := {{schema}}.governance_now();
BEGIN
  IF p_day !~ '^\d{4}-\d\d-\d\d$' THEN RAISE EXCEPTION 'not a day' USING ERRCODE = '22023'; END IF;
  IF p_session IS NOT NULL THEN
    INSERT INTO {{schema}}.governance_webhook_dedup (agent, cap, scope, at)
    VALUES (p_agent, p_cap, 's:' || p_session, v_now) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN RETURN false; END IF;
  END IF;
  INSERT INTO {{schema}}.governance_webhook_dedup (agent, cap, scope, at)
  VALUES (p_agent, p_cap, 'd:' || p_day, v_now) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  DELETE FROM {{schema}}.governance_webhook_dedup w
   WHERE w.agent = p_agent AND w.cap = p_cap AND w.at < v_now - interval '40 days';
  RETURN true;
END $$;

-- Bodies of kind routing are read by the processes; admission needs nothing of them.
ALTER TABLE {{schema}}.governance_policies DROP CONSTRAINT governance_policies_kind_check;
ALTER TABLE {{schema}}.governance_policies ADD CONSTRAINT governance_policies_kind_check
  CHECK (kind IN ('scope', 'budget', 'loop', 'gate', 'audit', 'routing'));

REVOKE ALL ON {{schema}}.governance_webhook_dedup FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_claim_alert FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_webhook_dedup FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_webhook_dedup TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_claim_alert TO {{app_role}};
-- {{/app_role}}
