-- Which instances run governance, what is wrapped in them, and which part of their calls to language models is governed.
--
-- Placeholders and app_role markers: see 0001_audit.sql. This is state, not evidence: what an instance says of itself, and
-- nobody says it for another one.

-- proof: SHA-256 of 32 bytes that only the instance has. machine and the hosts are salted digests, never names.
CREATE TABLE {{schema}}.governance_wrapper_registrations (
  instance      uuid PRIMARY KEY,
  proof         bytea NOT NULL CHECK (octet_length(proof) = 32),
  machine       text COLLATE "C" NOT NULL CHECK (machine ~ '^[0-9a-f]{64}$'),
  registered_by text NOT NULL,
  started_at    timestamptz NOT NULL,
  last_seen     timestamptz NOT NULL,
  governed      bigint NOT NULL CHECK (governed >= 0),
  calls         bigint NOT NULL CHECK (calls >= governed),
  wrappers      jsonb NOT NULL CHECK (jsonb_typeof(wrappers) = 'array' AND octet_length(wrappers::text) <= 65536),
  hosts         jsonb NOT NULL CHECK (jsonb_typeof(hosts) = 'array' AND octet_length(hosts::text) <= 65536)
) WITH (fillfactor = 70);
CREATE INDEX governance_wrapper_registrations_seen ON {{schema}}.governance_wrapper_registrations (last_seen);

-- Holds for every way in, the function below included: an instance keeps who it is and never unsays what it counted, its
-- times are the database's, and only who was not heard of for 30 days is forgotten.
CREATE FUNCTION {{schema}}.governance_refuse_spoofing() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now timestamptz := {{schema}}.governance_now();
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF OLD.last_seen >= v_now - interval '30 days' THEN
      RAISE EXCEPTION 'instance % was heard of less than 30 days ago', OLD.instance USING ERRCODE = 'GV020';
    END IF;
    RETURN OLD;
  END IF;
  IF TG_OP = 'INSERT' THEN
    NEW.started_at := v_now;
  ELSIF (NEW.instance, NEW.proof, NEW.machine, NEW.registered_by, NEW.started_at)
        IS DISTINCT FROM (OLD.instance, OLD.proof, OLD.machine, OLD.registered_by, OLD.started_at)
        OR NEW.governed < OLD.governed OR NEW.calls < OLD.calls THEN
    RAISE EXCEPTION 'instance % keeps what it is and what it counted', OLD.instance USING ERRCODE = 'GV020';
  END IF;
  NEW.last_seen := v_now;
  RETURN NEW;
END $$;

CREATE TRIGGER governance_refuse_spoofing BEFORE INSERT OR UPDATE OR DELETE ON {{schema}}.governance_wrapper_registrations
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_refuse_spoofing();
ALTER TABLE {{schema}}.governance_wrapper_registrations ENABLE ALWAYS TRIGGER governance_refuse_spoofing;
CREATE TRIGGER governance_refuse_truncate BEFORE TRUNCATE ON {{schema}}.governance_wrapper_registrations
  FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_wrapper_registrations ENABLE ALWAYS TRIGGER governance_refuse_truncate;

-- False, and nothing changes, when the instance is there with another proof, or said otherwise before. Prunes a few on the way.
CREATE FUNCTION {{schema}}.governance_report_wrappers(
  p_instance uuid, p_proof bytea, p_machine text, p_governed bigint, p_calls bigint, p_wrappers jsonb, p_hosts jsonb
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now timestamptz := {{schema}}.governance_now();
BEGIN
  IF octet_length(p_proof) IS DISTINCT FROM 32 THEN
    RAISE EXCEPTION 'a proof has 32 bytes' USING ERRCODE = '22023';
  END IF;
  INSERT INTO {{schema}}.governance_wrapper_registrations AS r
    (instance, proof, machine, registered_by, started_at, last_seen, governed, calls, wrappers, hosts)
  VALUES (p_instance, sha256(p_proof), p_machine, session_user, v_now, v_now, p_governed, p_calls, p_wrappers, p_hosts)
  ON CONFLICT (instance) DO UPDATE
     SET governed = EXCLUDED.governed, calls = EXCLUDED.calls, wrappers = EXCLUDED.wrappers, hosts = EXCLUDED.hosts
   WHERE r.proof = EXCLUDED.proof AND r.machine = EXCLUDED.machine AND r.registered_by = EXCLUDED.registered_by
     AND r.governed <= EXCLUDED.governed AND r.calls <= EXCLUDED.calls;
  IF NOT FOUND THEN RETURN false; END IF;
  DELETE FROM {{schema}}.governance_wrapper_registrations r
   WHERE r.instance IN (SELECT o.instance FROM {{schema}}.governance_wrapper_registrations o
                         WHERE o.last_seen < v_now - interval '30 days'
                         ORDER BY o.last_seen LIMIT 100 FOR UPDATE SKIP LOCKED);
  RETURN true;
END $$;

REVOKE ALL ON {{schema}}.governance_wrapper_registrations FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_refuse_spoofing FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_report_wrappers FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_wrapper_registrations FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_wrapper_registrations TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_report_wrappers TO {{app_role}};
-- {{/app_role}}
