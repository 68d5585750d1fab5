-- Where the bridge stands that sends the log to a platform: the place in its sequence, and what was about to be sent, so that
-- whoever goes on after a crash repeats exactly that (V8-01, BEY-16). How far it has read is in 0012_readers.sql.
--
-- Placeholders, markers and rules: see 0001_audit.sql and 0002_presence.sql.

-- revision: moves by one with each change, so that of two processes that both believe to be sending one stops. The rows in
-- chains and seqs have the places next_seq, next_seq + 1, ... in the sequence.
CREATE TABLE {{schema}}.governance_bridge_state (
  reader     text COLLATE "C" PRIMARY KEY CHECK (octet_length(reader) BETWEEN 1 AND 512),
  instance   uuid NOT NULL,
  revision   bigint NOT NULL,
  next_seq   bigint NOT NULL CHECK (next_seq >= 1),
  chains     text[] NOT NULL,
  seqs       bigint[] NOT NULL,
  changed_at timestamptz NOT NULL,
  CHECK (cardinality(chains) = cardinality(seqs) AND cardinality(chains) <= 1000)
) WITH (fillfactor = 50);

-- The state as it is; a new one has the given instance and begins at 1.
CREATE FUNCTION {{schema}}.governance_bridge_open(p_reader text, p_instance uuid,
  OUT r_instance uuid, OUT r_revision bigint, OUT r_next_seq bigint, OUT r_chains text[], OUT r_seqs bigint[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now timestamptz := {{schema}}.governance_now();
BEGIN
  INSERT INTO {{schema}}.governance_bridge_state (reader, instance, revision, next_seq, chains, seqs, changed_at)
  VALUES (p_reader, p_instance, 1, 1, '{}', '{}', v_now) ON CONFLICT DO NOTHING;
  SELECT b.instance, b.revision, b.next_seq, b.chains, b.seqs INTO r_instance, r_revision, r_next_seq, r_chains, r_seqs
    FROM {{schema}}.governance_bridge_state b WHERE b.reader = p_reader;
END $$;

-- False, and nothing changes, when the state has moved on from that revision.
CREATE FUNCTION {{schema}}.governance_bridge_move(
  p_reader text, p_revision bigint, p_next_seq bigint, p_chains text[], p_seqs bigint[]
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now timestamptz := {{schema}}.governance_now();
BEGIN
  UPDATE {{schema}}.governance_bridge_state b
     SET revision = p_revision + 1, next_seq = p_next_seq, chains = p_chains, seqs = p_seqs, changed_at = v_now
   WHERE b.reader = p_reader AND b.revision = p_revision;
  RETURN FOUND;
END $$;

REVOKE ALL ON {{schema}}.governance_bridge_state FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_bridge_open FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_bridge_move FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_bridge_state FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_bridge_state TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_bridge_open TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_bridge_move TO {{app_role}};
-- {{/app_role}}
