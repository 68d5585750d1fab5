-- Readers of the audit log that remember how far they have read, and which process reads for each of them.
--
-- Placeholders, markers and rules: see 0001_audit.sql and 0002_presence.sql. Readers are exact by chain: across chains there
-- is no order that a late commit cannot break.

-- One row per reader: who reads until when, by the clock of the database. The epoch goes up whenever the holder changes, and
-- what an earlier holder still tries to write is refused by it. begun: the cursors say where this reader's present began.
CREATE TABLE {{schema}}.governance_readers (
  reader text COLLATE "C" PRIMARY KEY CHECK (octet_length(reader) BETWEEN 1 AND 512),
  holder text NOT NULL CHECK (octet_length(holder) BETWEEN 1 AND 512),
  epoch  bigint NOT NULL,
  until  timestamptz NOT NULL,
  begun  boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);

-- The last row of a chain that a reader has done with. A chain without a row is read from its first event.
CREATE TABLE {{schema}}.governance_reader_cursors (
  chain  text COLLATE "C" NOT NULL CHECK (octet_length(chain) BETWEEN 1 AND 2048),
  reader text COLLATE "C" NOT NULL,
  seq    bigint NOT NULL CHECK (seq >= 0),
  PRIMARY KEY (chain, reader)
) WITH (fillfactor = 70);
CREATE INDEX governance_reader_cursors_of ON {{schema}}.governance_reader_cursors (reader, chain);

-- Makes or keeps p_holder the one who reads, for the lease; r_epoch is null while another one does.
CREATE FUNCTION {{schema}}.governance_reader_lead(p_reader text, p_holder text, p_lease_ms bigint, OUT r_epoch bigint, OUT r_begun boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now timestamptz := {{schema}}.governance_now();
BEGIN
  INSERT INTO {{schema}}.governance_readers (reader, holder, epoch, until)
  VALUES (p_reader, p_holder, 1, v_now) ON CONFLICT DO NOTHING;
  UPDATE {{schema}}.governance_readers r
     SET epoch = CASE WHEN r.holder = p_holder THEN r.epoch ELSE r.epoch + 1 END,
         holder = p_holder, until = v_now + p_lease_ms * interval '1 millisecond'
   WHERE r.reader = p_reader AND (r.holder = p_holder OR r.until <= v_now)
  RETURNING r.epoch, r.begun INTO r_epoch, r_begun;
END $$;

-- Ends the lease at once, so that another process need not wait for it.
CREATE FUNCTION {{schema}}.governance_reader_resign(p_reader text, p_epoch bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE {{schema}}.governance_readers r SET until = '-infinity', holder = '-'
   WHERE r.reader = p_reader AND r.epoch = p_epoch;
END $$;

-- False, and nothing moved, when another holder has taken over. Cursors never go back. p_chains MUST be distinct. p_begun says
-- that every chain of the present has its cursor now.
CREATE FUNCTION {{schema}}.governance_reader_advance(p_reader text, p_epoch bigint, p_chains text[], p_seqs bigint[], p_begun boolean)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM 1 FROM {{schema}}.governance_readers r WHERE r.reader = p_reader AND r.epoch = p_epoch FOR SHARE;
  IF NOT FOUND THEN RETURN false; END IF;
  -- Nobody has read what is not written: such a cursor would keep rows from the reader for good.
  IF EXISTS (SELECT 1 FROM unnest(p_chains, p_seqs) AS u(chain, seq)
               LEFT JOIN {{schema}}.governance_audit_chain_heads h ON h.chain = u.chain
              WHERE u.seq > coalesce(h.seq, 0)) THEN
    RAISE EXCEPTION 'a cursor is beyond its chain' USING ERRCODE = '22023';
  END IF;
  INSERT INTO {{schema}}.governance_reader_cursors AS c (chain, reader, seq)
  SELECT u.chain, p_reader, u.seq FROM unnest(p_chains, p_seqs) AS u(chain, seq) ORDER BY u.chain COLLATE "C"
  ON CONFLICT (chain, reader) DO UPDATE SET seq = EXCLUDED.seq WHERE c.seq < EXCLUDED.seq;
  IF p_begun THEN
    UPDATE {{schema}}.governance_readers r SET begun = true WHERE r.reader = p_reader AND r.epoch = p_epoch;
  END IF;
  RETURN true;
END $$;

REVOKE ALL ON {{schema}}.governance_readers, {{schema}}.governance_reader_cursors FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_reader_lead FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_reader_resign FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_reader_advance FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_readers, {{schema}}.governance_reader_cursors FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_readers, {{schema}}.governance_reader_cursors TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_reader_lead TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_reader_resign TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_reader_advance TO {{app_role}};
-- {{/app_role}}
