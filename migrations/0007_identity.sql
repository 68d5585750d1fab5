-- Agents' public signing keys and their revocations: append-only, as the log is.
--
-- Placeholders and app_role markers: see 0001_audit.sql. Both tables are small and belong to no tree: on Citus they are
-- reference tables.

-- A key belongs to one agent for good. The row is written in one transaction with audit.agent_key_registered.
CREATE TABLE {{schema}}.governance_agent_keys (
  agent            text COLLATE "C" NOT NULL CHECK (octet_length(agent) BETWEEN 1 AND 2048),
  activation_seq   bigint NOT NULL CHECK (activation_seq >= 1),
  fingerprint      text COLLATE "C" NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
  public_key       bytea  NOT NULL CHECK (octet_length(public_key) = 32),
  proof            bytea  NOT NULL CHECK (octet_length(proof) = 64),
  registered_at_ms bigint NOT NULL CHECK (registered_at_ms BETWEEN 0 AND 253402300799999),
  PRIMARY KEY (agent, activation_seq),
  CONSTRAINT governance_agent_keys_once UNIQUE (fingerprint)
);

-- chain_event_id is the audit.agent_key_revocation row in chain operator; null when that could not be written and the operator
-- chose to revoke all the same.
CREATE TABLE {{schema}}.governance_agent_key_revocations (
  fingerprint    text COLLATE "C" PRIMARY KEY REFERENCES {{schema}}.governance_agent_keys (fingerprint),
  reason         text   NOT NULL CHECK (octet_length(reason) BETWEEN 1 AND 8192),
  revoked_by     text   NOT NULL CHECK (octet_length(revoked_by) BETWEEN 1 AND 2048),
  revoked_at_ms  bigint NOT NULL CHECK (revoked_at_ms BETWEEN 0 AND 253402300799999),
  chain_event_id uuid
);

-- Whoever writes past the function keeps the order too: an agent's keys are numbered 1, 2, 3.
CREATE FUNCTION {{schema}}.governance_agent_keys_in_order() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_last bigint;
BEGIN
  SELECT coalesce(max(k.activation_seq), 0) INTO v_last FROM {{schema}}.governance_agent_keys k WHERE k.agent = NEW.agent;
  IF NEW.activation_seq <> v_last + 1 THEN
    RAISE EXCEPTION 'activation_seq must be %, not %', v_last + 1, NEW.activation_seq USING ERRCODE = 'GV007';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER governance_agent_keys_order BEFORE INSERT ON {{schema}}.governance_agent_keys
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_agent_keys_in_order();
ALTER TABLE {{schema}}.governance_agent_keys ENABLE ALWAYS TRIGGER governance_agent_keys_order;

CREATE TRIGGER governance_append_only_row BEFORE UPDATE OR DELETE ON {{schema}}.governance_agent_keys
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_agent_keys ENABLE ALWAYS TRIGGER governance_append_only_row;
CREATE TRIGGER governance_append_only_truncate BEFORE TRUNCATE ON {{schema}}.governance_agent_keys
  FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_agent_keys ENABLE ALWAYS TRIGGER governance_append_only_truncate;

CREATE TRIGGER governance_append_only_row BEFORE UPDATE OR DELETE ON {{schema}}.governance_agent_key_revocations
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_agent_key_revocations ENABLE ALWAYS TRIGGER governance_append_only_row;
CREATE TRIGGER governance_append_only_truncate BEFORE TRUNCATE ON {{schema}}.governance_agent_key_revocations
  FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_agent_key_revocations ENABLE ALWAYS TRIGGER governance_append_only_truncate;

-- A revocation that names its audit row stands only together with it: the row is looked for when the transaction commits, and
-- must be of that transaction.
CREATE FUNCTION {{schema}}.governance_revocation_is_recorded() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (
    SELECT 1 FROM {{schema}}.governance_audit_events e, LATERAL {{schema}}.governance_read_canonical(e.canonical) c
     WHERE e.chain = 'operator' AND e.id = NEW.chain_event_id AND e.kind = 'audit.agent_key_revocation'
       AND e.xmin = pg_current_xact_id()::xid AND c.metadata ->> 'fingerprint' = NEW.fingerprint) THEN
    RAISE EXCEPTION 'the revocation has no row in the log' USING ERRCODE = 'GV013';
  END IF;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER governance_revocation_recorded AFTER INSERT ON {{schema}}.governance_agent_key_revocations
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.chain_event_id IS NOT NULL)
  EXECUTE FUNCTION {{schema}}.governance_revocation_is_recorded();
ALTER TABLE {{schema}}.governance_agent_key_revocations ENABLE ALWAYS TRIGGER governance_revocation_recorded;

-- True when the key is new. A key that is known stays as it is, whoever asks: the caller reads whose it is. The time of a key
-- and of its end is the database's: a caller who chose it could make breaks of rows that were signed before.
CREATE FUNCTION {{schema}}.governance_register_agent_key(
  p_agent text, p_fingerprint text, p_public_key bytea, p_proof bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM {{schema}}.governance_agent_keys k WHERE k.fingerprint = p_fingerprint) THEN
    RETURN false;
  END IF;
  -- Who registers at the same time waits here, and then takes the next number.
  LOCK TABLE {{schema}}.governance_agent_keys IN SHARE ROW EXCLUSIVE MODE;
  INSERT INTO {{schema}}.governance_agent_keys (agent, activation_seq, fingerprint, public_key, proof, registered_at_ms)
  SELECT p_agent, coalesce(max(k.activation_seq), 0) + 1, p_fingerprint, p_public_key, p_proof,
         floor(extract(epoch FROM {{schema}}.governance_now()) * 1000)::bigint
    FROM {{schema}}.governance_agent_keys k WHERE k.agent = p_agent
  ON CONFLICT (fingerprint) DO NOTHING;
  RETURN FOUND;
END $$;

-- True when the key was not revoked before; the first revocation stays. Fails with GV008 for a key that nobody registered, and at
-- the commit with GV013 when the row p_event is not there.
CREATE FUNCTION {{schema}}.governance_revoke_agent_key(
  p_fingerprint text, p_reason text, p_by text, p_event uuid
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM {{schema}}.governance_agent_keys k WHERE k.fingerprint = p_fingerprint) THEN
    RAISE EXCEPTION 'no such key' USING ERRCODE = 'GV008';
  END IF;
  INSERT INTO {{schema}}.governance_agent_key_revocations (fingerprint, reason, revoked_by, revoked_at_ms, chain_event_id)
  VALUES (p_fingerprint, p_reason, p_by, floor(extract(epoch FROM {{schema}}.governance_now()) * 1000)::bigint, p_event) ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

REVOKE ALL ON {{schema}}.governance_agent_keys, {{schema}}.governance_agent_key_revocations FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_agent_keys_in_order FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_revocation_is_recorded FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_register_agent_key FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_revoke_agent_key FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_agent_keys, {{schema}}.governance_agent_key_revocations FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_agent_keys, {{schema}}.governance_agent_key_revocations TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_register_agent_key TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_revoke_agent_key TO {{app_role}};
-- {{/app_role}}
