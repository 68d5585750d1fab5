-- Keys of subjects (erasure), legal holds, and sealed segments of the log (retention).
--
-- Placeholders and app_role markers: see 0001_audit.sql. Time is governance_now(), the database's clock.

-- The only table that knows which key is whose. `wrapped` is encrypted under a key of the audit secret, named by wrap_key, so
-- that a dump alone opens nothing. Erasing leaves the id and the moment.
CREATE TABLE {{schema}}.governance_subject_keys (
  id         text COLLATE "C" PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 64),
  subject    text COLLATE "C" CHECK (octet_length(subject) BETWEEN 1 AND 2048),
  wrapped    bytea CHECK (octet_length(wrapped) BETWEEN 16 AND 512),
  wrap_key   text CHECK (octet_length(wrap_key) BETWEEN 1 AND 512),
  is_current boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL,
  erased_at  timestamptz,
  CHECK ((erased_at IS NULL) = (subject IS NOT NULL)),
  CHECK ((erased_at IS NULL) = (wrapped IS NOT NULL)),
  CHECK ((erased_at IS NULL) = (wrap_key IS NOT NULL)),
  CHECK (erased_at IS NULL OR NOT is_current)
);
CREATE INDEX governance_subject_keys_subject ON {{schema}}.governance_subject_keys (subject) WHERE subject IS NOT NULL;
CREATE UNIQUE INDEX governance_subject_keys_current ON {{schema}}.governance_subject_keys (subject) WHERE is_current;

-- What must not be pruned or erased. A row is a hold that stands; the audit log has those that stood.
CREATE TABLE {{schema}}.governance_legal_holds (
  scope  text NOT NULL CHECK (scope IN ('chain', 'agent', 'session', 'subject')),
  name   text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 2048),
  set_by text NOT NULL CHECK (octet_length(set_by) BETWEEN 1 AND 2048),
  reason text NOT NULL CHECK (octet_length(reason) BETWEEN 1 AND 65536),
  set_at timestamptz NOT NULL,
  PRIMARY KEY (scope, name)
);

-- Parts of chains whose contents are proved by a row of chain operator, kind audit.segment_sealed, with the id `seal`.
CREATE TABLE {{schema}}.governance_retention_segments (
  chain      text COLLATE "C" NOT NULL,
  from_seq   bigint NOT NULL CHECK (from_seq >= 1),
  to_seq     bigint NOT NULL CHECK (to_seq >= from_seq),
  first_prev bytea CHECK (octet_length(first_prev) = 32),
  last_hash  bytea NOT NULL CHECK (octet_length(last_hash) = 32),
  root       bytea NOT NULL CHECK (octet_length(root) = 32),
  seal       uuid NOT NULL,
  state      text NOT NULL CHECK (state IN ('sealed', 'pruning', 'pruned')),
  -- The transaction that deletes. Only in that one does the trigger let go of the segment's rows.
  pruner     xid8,
  PRIMARY KEY (chain, from_seq),
  CHECK (chain <> 'operator'),
  CHECK ((from_seq = 1) = (first_prev IS NULL))
);

-- Append-only but for the rows of a segment that this very transaction prunes through governance_prune_segment.
CREATE OR REPLACE FUNCTION {{schema}}.governance_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' AND TG_LEVEL = 'ROW' AND TG_TABLE_NAME = 'governance_audit_events' THEN
    IF EXISTS (SELECT 1 FROM {{schema}}.governance_retention_segments s
                WHERE s.chain = OLD.chain AND OLD.seq BETWEEN s.from_seq AND s.to_seq
                  AND s.state = 'pruning' AND s.pruner = pg_current_xact_id_if_assigned()) THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'GV003';
END $$;

-- Whether this transaction wrote a row of that kind to chain operator in which a fact has that value. It holds the chain's head
-- then, so the row is among the last.
CREATE FUNCTION {{schema}}.governance_is_recorded(p_kind text, p_facts jsonb) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (
    SELECT 1 FROM {{schema}}.governance_audit_chain_heads h
      JOIN {{schema}}.governance_audit_events e ON e.chain = h.chain AND e.seq > h.seq - 100
     CROSS JOIN LATERAL {{schema}}.governance_read_canonical(e.canonical) c
     WHERE h.chain = 'operator' AND e.kind = p_kind AND e.xmin = pg_current_xact_id()::xid
       AND c.metadata::jsonb @> p_facts)
$$;

-- Holds and erasures stand only together with their audit row, whoever calls the functions below. Looked at when the
-- transaction commits: the change comes first, then the row, so that nobody waits for a chain's head and a table's lock crosswise.
--   GV013  no such row in this transaction
CREATE FUNCTION {{schema}}.governance_retention_is_recorded() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  sound boolean;
BEGIN
  IF TG_TABLE_NAME = 'governance_subject_keys' THEN
    sound := {{schema}}.governance_is_recorded('audit.subject_erased', jsonb_build_object('keys', jsonb_build_array(NEW.id)));
  ELSIF TG_OP = 'INSERT' THEN
    sound := {{schema}}.governance_is_recorded('audit.legal_hold_set', {{schema}}.governance_facts_of_hold(NEW.scope, NEW.name));
  ELSE
    sound := {{schema}}.governance_is_recorded('audit.legal_hold_released', {{schema}}.governance_facts_of_hold(OLD.scope, OLD.name));
  END IF;
  IF sound IS NOT TRUE THEN
    RAISE EXCEPTION 'a change of % has no row in the log', TG_TABLE_NAME USING ERRCODE = 'GV013';
  END IF;
  RETURN NULL;
END $$;

-- What the log says of a hold. It names no subject, only a reference that needs the audit secret.
CREATE FUNCTION {{schema}}.governance_facts_of_hold(p_scope text, p_name text) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_build_object('scope', p_scope)
    || CASE p_scope WHEN 'subject' THEN '{}'::jsonb ELSE jsonb_build_object('name', p_name) END
$$;

CREATE CONSTRAINT TRIGGER governance_erasure_recorded AFTER UPDATE ON {{schema}}.governance_subject_keys
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL)
  EXECUTE FUNCTION {{schema}}.governance_retention_is_recorded();
ALTER TABLE {{schema}}.governance_subject_keys ENABLE ALWAYS TRIGGER governance_erasure_recorded;
CREATE CONSTRAINT TRIGGER governance_hold_recorded AFTER INSERT OR DELETE ON {{schema}}.governance_legal_holds
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_retention_is_recorded();
ALTER TABLE {{schema}}.governance_legal_holds ENABLE ALWAYS TRIGGER governance_hold_recorded;

-- The current key of each subject. Who asks at once gets the same: the first insert wins, the others wait for it and read it.
CREATE FUNCTION {{schema}}.governance_current_subject_keys(
  p_subject text[], p_id text[], p_wrapped bytea[], p_wrap_key text[], p_unusable text[]
) RETURNS TABLE (r_subject text, r_id text, r_wrapped bytea, r_wrap_key text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF cardinality(p_unusable) > 0 THEN
    UPDATE {{schema}}.governance_subject_keys k SET is_current = false WHERE k.id = ANY (p_unusable) AND k.is_current;
  END IF;
  INSERT INTO {{schema}}.governance_subject_keys (id, subject, wrapped, wrap_key, created_at)
  SELECT u.id, u.subject, u.wrapped, u.wrap_key, {{schema}}.governance_now()
    FROM unnest(p_subject, p_id, p_wrapped, p_wrap_key) AS u(subject, id, wrapped, wrap_key)
   WHERE NOT EXISTS (SELECT 1 FROM {{schema}}.governance_subject_keys k WHERE k.subject = u.subject AND k.is_current)
   ORDER BY u.subject COLLATE "C"
  ON CONFLICT (subject) WHERE is_current DO NOTHING;
  RETURN QUERY SELECT k.subject, k.id, k.wrapped, k.wrap_key
    FROM {{schema}}.governance_subject_keys k WHERE k.subject = ANY (p_subject) AND k.is_current;
END $$;

-- Holds that forbid to erase a subject: its own, and those on chains, agents and sessions that have values under its keys.
CREATE FUNCTION {{schema}}.governance_holds_on_subject(p_subject text) RETURNS SETOF {{schema}}.governance_legal_holds
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT h.* FROM {{schema}}.governance_legal_holds h
   WHERE (h.scope = 'subject' AND h.name = p_subject)
      OR (h.scope <> 'subject' AND EXISTS (
           SELECT 1 FROM {{schema}}.governance_subject_keys k JOIN {{schema}}.governance_audit_events e
               ON strpos(e.canonical, '"key":"' || k.id || '"') > 0
            WHERE k.subject = p_subject
              AND ((h.scope = 'chain' AND e.chain = h.name) OR (h.scope = 'agent' AND e.agent = h.name)
                OR (h.scope = 'session' AND e.session = h.name))))
   ORDER BY h.scope, h.name;
END $$;

-- Holds that forbid to prune these rows: on the chain, on an agent or a session in them, on a subject with values in them.
CREATE FUNCTION {{schema}}.governance_holds_on_rows(p_chain text, p_from bigint, p_to bigint)
RETURNS SETOF {{schema}}.governance_legal_holds
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT h.* FROM {{schema}}.governance_legal_holds h
   WHERE (h.scope = 'chain' AND h.name = p_chain)
      OR EXISTS (SELECT 1 FROM {{schema}}.governance_audit_events e
                  WHERE e.chain = p_chain AND e.seq BETWEEN p_from AND p_to
                    AND ((h.scope = 'agent' AND e.agent = h.name) OR (h.scope = 'session' AND e.session = h.name)
                      OR (h.scope = 'subject' AND EXISTS (
                            SELECT 1 FROM {{schema}}.governance_subject_keys k
                             WHERE k.subject = h.name AND strpos(e.canonical, '"key":"' || k.id || '"') > 0))))
   ORDER BY h.scope, h.name;
END $$;

-- Forgets bytes and subject of all keys of a subject. The lock makes a hold that is being set wait, or be seen.
--   GV011  a legal hold forbids it; without its audit row the commit fails (GV013)
CREATE FUNCTION {{schema}}.governance_erase_subject(p_subject text) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  LOCK TABLE {{schema}}.governance_legal_holds IN SHARE MODE;
  IF EXISTS (SELECT 1 FROM {{schema}}.governance_holds_on_subject(p_subject)) THEN
    RAISE EXCEPTION 'a legal hold forbids to erase' USING ERRCODE = 'GV011';
  END IF;
  RETURN QUERY UPDATE {{schema}}.governance_subject_keys k
     SET subject = NULL, wrapped = NULL, wrap_key = NULL, is_current = false, erased_at = {{schema}}.governance_now()
   WHERE k.subject = p_subject RETURNING k.id;
END $$;

-- True when the hold is new. A hold that stands keeps its first reason.
CREATE FUNCTION {{schema}}.governance_set_hold(p_scope text, p_name text, p_by text, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO {{schema}}.governance_legal_holds (scope, name, set_by, reason, set_at)
  VALUES (p_scope, p_name, p_by, p_reason, {{schema}}.governance_now()) ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

-- True when a hold stood.
CREATE FUNCTION {{schema}}.governance_release_hold(p_scope text, p_name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM {{schema}}.governance_legal_holds h WHERE h.scope = p_scope AND h.name = p_name;
  RETURN FOUND;
END $$;

-- Notes a seal; its audit row follows in the same transaction. False when the segment does not continue the last one.
CREATE FUNCTION {{schema}}.governance_seal_segment(
  p_chain text, p_from bigint, p_to bigint, p_first_prev bytea, p_last_hash bytea, p_root bytea, p_seal uuid
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_from <> coalesce((SELECT max(s.to_seq) FROM {{schema}}.governance_retention_segments s WHERE s.chain = p_chain), 0) + 1 THEN
    RETURN false;
  END IF;
  INSERT INTO {{schema}}.governance_retention_segments (chain, from_seq, to_seq, first_prev, last_hash, root, seal, state)
  VALUES (p_chain, p_from, p_to, p_first_prev, p_last_hash, p_root, p_seal, 'sealed') ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

-- Deletes exactly the rows of a sealed segment and returns how many, and is the only way past the append-only trigger. Even a
-- role that was granted EXECUTE can delete nothing but what is sealed in chain operator, unheld, and older than 183 days by
-- the time of recording; a shorter time is for members of the owner.
--   GV010  no such seal, or the rows are not those that were sealed
--   GV011  a legal hold forbids it
--   GV012  too young
CREATE FUNCTION {{schema}}.governance_prune_segment(p_chain text, p_from bigint, p_min_age interval) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  s       {{schema}}.governance_retention_segments;
  sound   boolean;
  newest  timestamptz;
  deleted bigint;
BEGIN
  LOCK TABLE {{schema}}.governance_legal_holds IN SHARE MODE;
  SELECT * INTO s FROM {{schema}}.governance_retention_segments x
   WHERE x.chain = p_chain AND x.from_seq = p_from FOR UPDATE;
  IF NOT FOUND OR s.state <> 'sealed' THEN
    RAISE EXCEPTION 'no sealed segment of % begins at %', p_chain, p_from USING ERRCODE = 'GV010';
  END IF;
  -- A chain is pruned from its beginning on.
  IF EXISTS (SELECT 1 FROM {{schema}}.governance_audit_events e WHERE e.chain = p_chain AND e.seq < p_from) THEN
    RAISE EXCEPTION '% has rows before %', p_chain, p_from USING ERRCODE = 'GV010';
  END IF;
  IF NOT EXISTS (
    SELECT 1 FROM {{schema}}.governance_audit_events e, LATERAL {{schema}}.governance_read_canonical(e.canonical) c
     WHERE e.chain = 'operator' AND e.id = s.seal AND e.kind = 'audit.segment_sealed'
       AND c.metadata ->> 'chain' = s.chain AND c.metadata ->> 'fromSeq' = s.from_seq::text
       AND c.metadata ->> 'toSeq' = s.to_seq::text AND c.metadata ->> 'lastHash' = encode(s.last_hash, 'hex')
       AND c.metadata ->> 'root' = encode(s.root, 'hex')
       AND c.metadata ->> 'firstPrev' IS NOT DISTINCT FROM encode(s.first_prev, 'hex')) THEN
    RAISE EXCEPTION 'segment % of % has no seal in the log', p_from, p_chain USING ERRCODE = 'GV010';
  END IF;
  SELECT count(*) = s.to_seq - s.from_seq + 1 AND bool_and(r.linked)
         AND bool_or(r.seq = s.to_seq AND r.hash = s.last_hash), max(r.recorded_at)
    INTO sound, newest
    FROM (SELECT e.seq, e.hash, e.recorded_at, e.prev IS NOT DISTINCT FROM
                 CASE WHEN e.seq = s.from_seq THEN s.first_prev ELSE lag(e.hash) OVER (ORDER BY e.seq) END AS linked
            FROM {{schema}}.governance_audit_events e
           WHERE e.chain = p_chain AND e.seq BETWEEN s.from_seq AND s.to_seq) r;
  IF sound IS NOT TRUE THEN
    RAISE EXCEPTION 'the rows % to % of % are not those that were sealed', s.from_seq, s.to_seq, p_chain USING ERRCODE = 'GV010';
  END IF;
  IF EXISTS (SELECT 1 FROM {{schema}}.governance_holds_on_rows(p_chain, s.from_seq, s.to_seq)) THEN
    RAISE EXCEPTION 'a legal hold forbids to prune' USING ERRCODE = 'GV011';
  END IF;
  IF p_min_age IS NULL OR newest > {{schema}}.governance_now() - p_min_age
     OR (p_min_age < interval '183 days' AND NOT pg_has_role(session_user, current_user, 'MEMBER')) THEN
    RAISE EXCEPTION 'the rows are too young to be pruned' USING ERRCODE = 'GV012';
  END IF;
  UPDATE {{schema}}.governance_retention_segments x SET state = 'pruning', pruner = pg_current_xact_id()
   WHERE x.chain = p_chain AND x.from_seq = p_from;
  DELETE FROM {{schema}}.governance_audit_events e WHERE e.chain = p_chain AND e.seq BETWEEN s.from_seq AND s.to_seq;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  UPDATE {{schema}}.governance_retention_segments x SET state = 'pruned', pruner = NULL
   WHERE x.chain = p_chain AND x.from_seq = p_from;
  RETURN deleted;
END $$;

REVOKE ALL ON {{schema}}.governance_subject_keys, {{schema}}.governance_legal_holds,
  {{schema}}.governance_retention_segments FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_is_recorded FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_retention_is_recorded FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_facts_of_hold FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_current_subject_keys FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_holds_on_subject FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_holds_on_rows FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_erase_subject FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_set_hold FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_release_hold FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_seal_segment FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_prune_segment FROM PUBLIC;

-- Releasing a hold, sealing and pruning are the owner's.
-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_subject_keys, {{schema}}.governance_legal_holds,
  {{schema}}.governance_retention_segments FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_subject_keys, {{schema}}.governance_legal_holds,
  {{schema}}.governance_retention_segments TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_current_subject_keys TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_holds_on_subject TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_holds_on_rows TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_erase_subject TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_set_hold TO {{app_role}};
-- {{/app_role}}
