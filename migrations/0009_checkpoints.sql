-- Checkpoints: an append-only Merkle tree (RFC 6962) over the heads of the audit chains, and what was signed of it.
--
-- Placeholders and app_role markers: see 0001_audit.sql. A row of governance_checkpoints is committed with its leaves before
-- anything is signed, so that a crash between is caught up by whoever signs next: the same size, the same bytes. Nothing here
-- is believed because it stands here: readers compute the roots again and check the signatures.

CREATE TABLE {{schema}}.governance_checkpoint_leaves (
  index bigint PRIMARY KEY CHECK (index >= 0),
  chain text COLLATE "C" NOT NULL CHECK (octet_length(chain) BETWEEN 1 AND 2048),
  seq   bigint NOT NULL CHECK (seq >= 1),
  hash  bytea  NOT NULL CHECK (octet_length(hash) = 32)
);
CREATE INDEX governance_checkpoint_leaves_chain ON {{schema}}.governance_checkpoint_leaves (chain, index);

-- One successor for each checkpoint: whoever inserts (previous) first makes it, the others read it.
CREATE TABLE {{schema}}.governance_checkpoints (
  size     bigint PRIMARY KEY CHECK (size >= 1),
  previous bigint NOT NULL UNIQUE CHECK (previous >= 0 AND previous < size),
  root     bytea  NOT NULL CHECK (octet_length(root) = 32),
  -- The roots of the complete subtrees, the largest first: with them the tree grows without being read.
  peaks    bytea  NOT NULL CHECK (octet_length(peaks) BETWEEN 32 AND 2048 AND octet_length(peaks) % 32 = 0),
  made_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Signed notes. Several may claim one size, since only a reader with the key can tell which is right.
CREATE TABLE {{schema}}.governance_checkpoint_notes (
  size bigint NOT NULL,
  note text COLLATE "C" NOT NULL CHECK (octet_length(note) BETWEEN 1 AND 2000),
  PRIMARY KEY (size, note)
);

-- Signed statements that a restored backup is to be believed from here on.
CREATE TABLE {{schema}}.governance_checkpoint_adoptions (
  id   uuid PRIMARY KEY,
  size bigint NOT NULL CHECK (size >= 0),
  note text NOT NULL CHECK (octet_length(note) BETWEEN 1 AND 1048576)
);

CREATE TRIGGER governance_append_only_row BEFORE UPDATE OR DELETE ON {{schema}}.governance_checkpoint_leaves
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_refuse_change();
CREATE TRIGGER governance_append_only_truncate BEFORE TRUNCATE ON {{schema}}.governance_checkpoint_leaves
  FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}.governance_refuse_change();
CREATE TRIGGER governance_append_only_row BEFORE UPDATE OR DELETE ON {{schema}}.governance_checkpoints
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_refuse_change();
CREATE TRIGGER governance_append_only_truncate BEFORE TRUNCATE ON {{schema}}.governance_checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}.governance_refuse_change();
CREATE TRIGGER governance_append_only_row BEFORE UPDATE OR DELETE ON {{schema}}.governance_checkpoint_notes
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_refuse_change();
CREATE TRIGGER governance_append_only_truncate BEFORE TRUNCATE ON {{schema}}.governance_checkpoint_notes
  FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}.governance_refuse_change();
CREATE TRIGGER governance_append_only_row BEFORE UPDATE OR DELETE ON {{schema}}.governance_checkpoint_adoptions
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_refuse_change();
CREATE TRIGGER governance_append_only_truncate BEFORE TRUNCATE ON {{schema}}.governance_checkpoint_adoptions
  FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_checkpoint_leaves ENABLE ALWAYS TRIGGER governance_append_only_row;
ALTER TABLE {{schema}}.governance_checkpoint_leaves ENABLE ALWAYS TRIGGER governance_append_only_truncate;
ALTER TABLE {{schema}}.governance_checkpoints ENABLE ALWAYS TRIGGER governance_append_only_row;
ALTER TABLE {{schema}}.governance_checkpoints ENABLE ALWAYS TRIGGER governance_append_only_truncate;
ALTER TABLE {{schema}}.governance_checkpoint_notes ENABLE ALWAYS TRIGGER governance_append_only_row;
ALTER TABLE {{schema}}.governance_checkpoint_notes ENABLE ALWAYS TRIGGER governance_append_only_truncate;
ALTER TABLE {{schema}}.governance_checkpoint_adoptions ENABLE ALWAYS TRIGGER governance_append_only_row;
ALTER TABLE {{schema}}.governance_checkpoint_adoptions ENABLE ALWAYS TRIGGER governance_append_only_truncate;

-- RFC 6962: the peaks of a tree after more leaves. Chain ids hold no control characters, so to_json is their canonical JSON.
CREATE FUNCTION {{schema}}.governance_checkpoint_peaks(
  p_peaks bytea, p_size bigint, l_chain text[], l_seq bigint[], l_hash bytea[]
) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_peaks bytea := p_peaks;
  v_rest  bigint;
  v_node  bytea;
BEGIN
  FOR n IN 1 .. cardinality(l_chain) LOOP
    v_node := sha256('\x00'::bytea || convert_to('{"chain":' || to_json(l_chain[n])::text || ',"hash":"'
      || encode(l_hash[n], 'hex') || '","seq":' || l_seq[n] || '}', 'UTF8'));
    v_rest := p_size + n - 1;
    WHILE v_rest % 2 = 1 LOOP
      v_node := sha256('\x01'::bytea || substr(v_peaks, octet_length(v_peaks) - 31) || v_node);
      v_peaks := substr(v_peaks, 1, octet_length(v_peaks) - 32);
      v_rest := v_rest / 2;
    END LOOP;
    v_peaks := v_peaks || v_node;
  END LOOP;
  RETURN v_peaks;
END $$;

CREATE FUNCTION {{schema}}.governance_checkpoint_root(p_peaks bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_root bytea := substr(p_peaks, octet_length(p_peaks) - 31);
BEGIN
  FOR n IN REVERSE octet_length(p_peaks) / 32 - 1 .. 1 LOOP
    v_root := sha256('\x01'::bytea || substr(p_peaks, n * 32 - 31, 32) || v_root);
  END LOOP;
  RETURN v_root;
END $$;

-- Appends leaves to checkpoint p_previous (0: none) whatever the rows say. For the owner alone: after a restored backup, what
-- left the database before is taken back, and its rows are gone. False: somebody else made the successor.
CREATE FUNCTION {{schema}}.governance_retake_checkpoint(p_previous bigint, l_chain text[], l_seq bigint[], l_hash bytea[])
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_peaks bytea := '';
BEGIN
  IF cardinality(l_chain) IS NOT DISTINCT FROM 0 OR cardinality(l_seq) IS DISTINCT FROM cardinality(l_chain)
     OR cardinality(l_hash) IS DISTINCT FROM cardinality(l_chain)
     OR p_previous IS NULL OR array_position(l_chain, NULL) > 0 OR array_position(l_seq, NULL) > 0
     OR array_position(l_hash, NULL) > 0 THEN
    RAISE EXCEPTION 'a checkpoint needs leaves of chain, row and hash' USING ERRCODE = 'GV001';
  END IF;
  IF p_previous <> 0 THEN
    SELECT c.peaks INTO v_peaks FROM {{schema}}.governance_checkpoints c WHERE c.size = p_previous;
    IF NOT FOUND THEN RETURN false; END IF;
  END IF;
  v_peaks := {{schema}}.governance_checkpoint_peaks(v_peaks, p_previous, l_chain, l_seq, l_hash);
  INSERT INTO {{schema}}.governance_checkpoints (size, previous, root, peaks)
  VALUES (p_previous + cardinality(l_chain), p_previous, {{schema}}.governance_checkpoint_root(v_peaks), v_peaks)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO {{schema}}.governance_checkpoint_leaves (index, chain, seq, hash)
  SELECT p_previous + l.n - 1, l.chain, l.seq, l.hash
    FROM unnest(l_chain, l_seq, l_hash) WITH ORDINALITY AS l(chain, seq, hash, n);
  RETURN true;
END $$;

-- The successor of checkpoint p_previous (0: the first) with its leaves, in one step. False: somebody else made it. Every leaf
-- MUST be a stored row after the chain's last leaf, unless that one's row is gone or another now; whoever signs judges that.
-- Nothing else is believed: hashes and root are computed here, so no program can put in what could never be signed.
CREATE FUNCTION {{schema}}.governance_commit_checkpoint(p_previous bigint, l_chain text[], l_seq bigint[], l_hash bytea[])
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- First the swap: what is looked at below then includes whatever the winner of the turn before has written.
  IF NOT {{schema}}.governance_retake_checkpoint(p_previous, l_chain, l_seq, l_hash) THEN RETURN false; END IF;
  IF (SELECT count(DISTINCT l.chain) FROM unnest(l_chain) AS l(chain)) <> cardinality(l_chain) OR EXISTS (
    SELECT 1 FROM unnest(l_chain, l_seq, l_hash) AS l(chain, seq, hash)
     WHERE NOT EXISTS (SELECT 1 FROM {{schema}}.governance_audit_events e
                        WHERE e.chain = l.chain AND e.seq = l.seq AND e.hash = l.hash)
  ) OR EXISTS (
    SELECT 1 FROM unnest(l_chain, l_seq) AS l(chain, seq)
      CROSS JOIN LATERAL (SELECT f.seq, f.hash FROM {{schema}}.governance_checkpoint_leaves f
                           WHERE f.chain = l.chain AND f.index < p_previous ORDER BY f.index DESC LIMIT 1) last
      JOIN {{schema}}.governance_audit_events e ON e.chain = l.chain AND e.seq = last.seq AND e.hash = last.hash
     WHERE l.seq <= last.seq
  ) THEN
    RAISE EXCEPTION 'a leaf is no row that goes on from its chain''s last leaf' USING ERRCODE = 'GV001';
  END IF;
  RETURN true;
END $$;

CREATE FUNCTION {{schema}}.governance_note_checkpoint(p_size bigint, p_note text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM {{schema}}.governance_checkpoints c WHERE c.size = p_size) THEN
    RAISE EXCEPTION 'there is no checkpoint of size %', p_size USING ERRCODE = 'GV001';
  END IF;
  INSERT INTO {{schema}}.governance_checkpoint_notes (size, note) VALUES (p_size, p_note) ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION {{schema}}.governance_adopt_checkpoint(p_id uuid, p_size bigint, p_note text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO {{schema}}.governance_checkpoint_adoptions (id, size, note) VALUES (p_id, p_size, p_note) ON CONFLICT DO NOTHING;
END $$;

REVOKE ALL ON {{schema}}.governance_checkpoint_leaves, {{schema}}.governance_checkpoints,
  {{schema}}.governance_checkpoint_notes, {{schema}}.governance_checkpoint_adoptions FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_checkpoint_peaks FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_checkpoint_root FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_retake_checkpoint FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_commit_checkpoint FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_note_checkpoint FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_adopt_checkpoint FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_checkpoint_leaves, {{schema}}.governance_checkpoints,
  {{schema}}.governance_checkpoint_notes, {{schema}}.governance_checkpoint_adoptions FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_checkpoint_leaves, {{schema}}.governance_checkpoints,
  {{schema}}.governance_checkpoint_notes, {{schema}}.governance_checkpoint_adoptions TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_commit_checkpoint TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_note_checkpoint TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_adopt_checkpoint TO {{app_role}};
-- {{/app_role}}
