-- Which key seals the audit log, and which did before: one row for each key, written in the transaction of the rotation.
--
-- Placeholders and app_role markers: see 0001_audit.sql. No secret is stored here in the clear: `handover` is the incoming
-- secret encrypted under a key that only holders of the outgoing secret can derive, null when it was not handed over.

CREATE TABLE {{schema}}.governance_audit_chain_keys (
  version     int  PRIMARY KEY CHECK (version >= 1),
  -- The whole 128 bits: an id is never completed or guessed. Once only: a key that was rotated out does not come back.
  key_id      text COLLATE "C" NOT NULL UNIQUE CHECK (key_id ~ '^[0-9a-f]{32}$'),
  fingerprint text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{64}$' AND left(fingerprint, 32) = key_id),
  previous    text COLLATE "C",
  -- The event of chain `operator` at which the key became active: its row holds the position, and the proof under both keys.
  marker      uuid,
  handover    bytea CHECK (octet_length(handover) BETWEEN 1 AND 4096),
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK ((version = 1) = (previous IS NULL)),
  CHECK ((version = 1) = (marker IS NULL))
);

CREATE TRIGGER governance_append_only_row BEFORE UPDATE OR DELETE ON {{schema}}.governance_audit_chain_keys
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_audit_chain_keys ENABLE ALWAYS TRIGGER governance_append_only_row;

CREATE TRIGGER governance_append_only_truncate BEFORE TRUNCATE ON {{schema}}.governance_audit_chain_keys
  FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_audit_chain_keys ENABLE ALWAYS TRIGGER governance_append_only_truncate;

-- The first key of a log. A log that was begun before this table existed takes only a key that its latest rows agree with:
-- p_known are the ids that the caller can check with. False: there is a first key already, or this one does not fit.
CREATE FUNCTION {{schema}}.governance_begin_chain_keys(p_key_id text, p_fingerprint text, p_known text[]) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_last text;
BEGIN
  IF EXISTS (SELECT 1 FROM {{schema}}.governance_audit_chain_keys) THEN RETURN false; END IF;
  SELECT e.key_id INTO v_last
    FROM (SELECT h.chain, h.seq FROM {{schema}}.governance_audit_chain_heads h WHERE h.seq > 0
           ORDER BY h.moved_at DESC LIMIT 1) h
    JOIN {{schema}}.governance_audit_events e ON e.chain = h.chain AND e.seq = h.seq;
  IF v_last IS NOT NULL AND v_last <> ALL (p_known) THEN RETURN false; END IF;
  INSERT INTO {{schema}}.governance_audit_chain_keys (version, key_id, fingerprint)
  VALUES (1, p_key_id, p_fingerprint) ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

-- The compare-and-set of a rotation: false when p_expected with p_previous is not the current version any more, or when the
-- key was in use before. Whoever comes second waits here for the first to commit. Not for the runtime role: who gets hold of a
-- program's connection could else name a key that nobody has, and no rotation would be possible any more.
CREATE FUNCTION {{schema}}.governance_advance_chain_key(
  p_expected int, p_previous text, p_key_id text, p_fingerprint text, p_marker uuid, p_handover bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM {{schema}}.governance_audit_chain_keys k
                  WHERE k.version = p_expected AND k.key_id = p_previous) THEN RETURN false; END IF;
  INSERT INTO {{schema}}.governance_audit_chain_keys (version, key_id, fingerprint, previous, marker, handover)
  VALUES (p_expected + 1, p_key_id, p_fingerprint, p_previous, p_marker, p_handover) ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

REVOKE ALL ON {{schema}}.governance_audit_chain_keys FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_begin_chain_keys FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_advance_chain_key FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_audit_chain_keys FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_audit_chain_keys TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_begin_chain_keys TO {{app_role}};
-- {{/app_role}}
