-- The audit log: append-only events in hash chains, one head row per chain.
--
-- {{schema}} and {{app_role}} are filled in, quoted, by `governance migrate`. What stands between the two app_role markers
-- at the end is run again whenever `migrate` is given a role, and left out when it is given none.
-- Rules for whoever edits this: chain is in every key and every hot statement, no advisory locks, no volatile arguments.

CREATE TABLE {{schema}}.governance_meta (
  key   text PRIMARY KEY,
  value text NOT NULL
);

-- The deployment id is part of the MAC of approval tokens: made once, here, and never changed.
INSERT INTO {{schema}}.governance_meta (key, value) VALUES
  ('deployment_id', gen_random_uuid()::text),
  ('audit_format', '1');

CREATE TABLE {{schema}}.governance_audit_events (
  chain       text COLLATE "C" NOT NULL CHECK (octet_length(chain) BETWEEN 1 AND 2048),
  seq         bigint NOT NULL CHECK (seq >= 1),
  id          uuid   NOT NULL,
  at_ms       bigint NOT NULL CHECK (at_ms BETWEEN 0 AND 253402300799999),
  agent       text   NOT NULL CHECK (octet_length(agent) BETWEEN 1 AND 2048),
  session     text            CHECK (octet_length(session) BETWEEN 1 AND 2048),
  parent      uuid,
  kind        text   NOT NULL CHECK (octet_length(kind) BETWEEN 1 AND 512),
  key_id      text   NOT NULL CHECK (octet_length(key_id) BETWEEN 1 AND 512),
  signer      text            CHECK (octet_length(signer) BETWEEN 1 AND 512),
  canonical   text   NOT NULL CHECK (octet_length(canonical) BETWEEN 2 AND 1048576),
  hash        bytea  NOT NULL CHECK (octet_length(hash) = 32),
  prev        bytea           CHECK (octet_length(prev) = 32),
  hmac        bytea  NOT NULL CHECK (octet_length(hmac) = 32),
  signature   bytea           CHECK (octet_length(signature) BETWEEN 1 AND 512),
  -- The database's clock: says which chains to look at, is no evidence of anything.
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (chain, seq),
  -- One id once in a chain; id comes first so that the same index finds an event by its id alone.
  CONSTRAINT governance_audit_events_once UNIQUE (id, chain),
  CONSTRAINT governance_audit_events_genesis CHECK ((seq = 1) = (prev IS NULL)),
  CONSTRAINT governance_audit_events_signed CHECK (signature IS NULL OR signer IS NOT NULL)
);

CREATE INDEX governance_audit_events_agent ON {{schema}}.governance_audit_events (agent, at_ms);
CREATE INDEX governance_audit_events_session ON {{schema}}.governance_audit_events (session, at_ms) WHERE session IS NOT NULL;
CREATE INDEX governance_audit_events_at ON {{schema}}.governance_audit_events USING brin (at_ms) WITH (pages_per_range = 32);
CREATE INDEX governance_audit_events_recorded ON {{schema}}.governance_audit_events USING brin (recorded_at) WITH (pages_per_range = 32);

-- Half-filled pages keep the swap of a head a heap-only update.
CREATE TABLE {{schema}}.governance_audit_chain_heads (
  chain     text COLLATE "C" PRIMARY KEY CHECK (octet_length(chain) BETWEEN 1 AND 2048),
  seq       bigint NOT NULL CHECK (seq >= 0),
  hash      bytea CHECK (octet_length(hash) = 32),
  at_ms     bigint NOT NULL,
  prev_seq  bigint NOT NULL CHECK (prev_seq >= 0),
  prev_hash bytea CHECK (octet_length(prev_hash) = 32),
  moves     bigint NOT NULL DEFAULT 0,
  moved_at  timestamptz NOT NULL,
  CHECK ((seq = 0) = (hash IS NULL)),
  CHECK ((prev_seq = 0) = (prev_hash IS NULL))
) WITH (fillfactor = 50);

-- Append-only, enforced for everyone: ENABLE ALWAYS fires under session_replication_role = replica too.
CREATE FUNCTION {{schema}}.governance_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'GV003';
END $$;

CREATE TRIGGER governance_append_only_row BEFORE UPDATE OR DELETE ON {{schema}}.governance_audit_events
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_audit_events ENABLE ALWAYS TRIGGER governance_append_only_row;

CREATE TRIGGER governance_append_only_truncate BEFORE TRUNCATE ON {{schema}}.governance_audit_events
  FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_audit_events ENABLE ALWAYS TRIGGER governance_append_only_truncate;

-- The only way to write an event. Swaps the head of each chain, and inserts the rows of the chains whose swap succeeded;
-- returns those chains. Rows must follow the expected head without a gap, so that a caller who may do nothing but call
-- this can neither skip a number nor start a fork.
--   GV001  the rows do not continue the heads they name
--   GV002  a chain that has events has lost its head row
CREATE FUNCTION {{schema}}.governance_append_many(
  p_key       text,
  r_chain     text[],  r_seq    bigint[], r_id      uuid[], r_at     bigint[], r_agent     text[],
  r_session   text[],  r_parent uuid[],   r_kind    text[], r_key_id text[],   r_signer    text[],
  r_canonical text[],  r_hash   bytea[],  r_prev    bytea[], r_hmac  bytea[],  r_signature bytea[],
  h_chain     text[],  h_from   bigint[], h_prev    bytea[], h_seq   bigint[], h_hash      bytea[], h_at bigint[]
) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  won   text[] := '{}';
  lost  text[];
  sound boolean;
  made  bigint;
  i     int;
BEGIN
  IF cardinality(h_chain) = 1 THEN
    -- The hot chain, and every lone event: whole arrays are compared, in the order in which the rows are sent.
    sound := r_chain = array_fill(h_chain[1], ARRAY[cardinality(r_chain)])
             AND cardinality(r_chain) = h_seq[1] - h_from[1]
             AND r_seq = ARRAY(SELECT generate_series(h_from[1] + 1, h_seq[1]))
             AND r_prev = h_prev[1] || r_hash[1:cardinality(r_hash) - 1]
             AND r_at = ARRAY(SELECT u FROM unnest(r_at) AS u ORDER BY u)
             AND r_hash[cardinality(r_hash)] = h_hash[1]
             AND r_at[cardinality(r_at)] = h_at[1];
  ELSE
    SELECT count(*) FILTER (WHERE b.first) = cardinality(h_chain) AND bool_and(b.fits) INTO sound
      FROM (
        SELECT r.before IS NULL AS first,
               h.chain IS NOT NULL
               AND r.seq = coalesce(r.before, h.base) + 1
               AND r.prev IS NOT DISTINCT FROM CASE WHEN r.before IS NULL THEN h.prev ELSE r.before_hash END
               AND r.at >= coalesce(r.before_at, r.at)
               AND (r.after IS NOT NULL OR (r.seq = h.last AND r.hash = h.hash AND r.at = h.at)) AS fits
          FROM (
            SELECT u.chain, u.seq, u.at, u.hash, u.prev,
                   lag(u.seq) OVER w AS before, lag(u.hash) OVER w AS before_hash, lag(u.at) OVER w AS before_at,
                   lead(u.seq) OVER w AS after
              FROM unnest(r_chain, r_seq, r_at, r_hash, r_prev) AS u(chain, seq, at, hash, prev)
            WINDOW w AS (PARTITION BY u.chain COLLATE "C" ORDER BY u.seq)
          ) r
          LEFT JOIN unnest(h_chain, h_from, h_prev, h_seq, h_hash, h_at) AS h(chain, base, prev, last, hash, at)
                 ON h.chain = r.chain
      ) b;
  END IF;
  IF sound IS DISTINCT FROM true THEN
    RAISE EXCEPTION 'the rows do not continue the chain heads they name' USING ERRCODE = 'GV001';
  END IF;

  -- One order of locks everywhere, and the swap is evaluated on the latest committed head.
  IF cardinality(h_chain) <= 16 THEN
    FOR i IN SELECT n FROM unnest(h_chain) WITH ORDINALITY AS o(c, n) ORDER BY c COLLATE "C" LOOP
      INSERT INTO {{schema}}.governance_audit_chain_heads AS h (chain, seq, hash, at_ms, prev_seq, prev_hash, moved_at)
      VALUES (h_chain[i], h_seq[i], h_hash[i], h_at[i], h_from[i], h_prev[i], now())
      ON CONFLICT (chain) DO UPDATE SET seq = EXCLUDED.seq, hash = EXCLUDED.hash, at_ms = EXCLUDED.at_ms,
        prev_seq = EXCLUDED.prev_seq, prev_hash = EXCLUDED.prev_hash, moves = h.moves + 1, moved_at = EXCLUDED.moved_at
      WHERE h.seq = EXCLUDED.prev_seq AND h.hash IS NOT DISTINCT FROM EXCLUDED.prev_hash
      RETURNING h.moves INTO made;
      IF FOUND THEN
        IF made = 0 AND h_from[i] > 0 THEN lost := lost || h_chain[i]; END IF;
        won := won || h_chain[i];
      END IF;
    END LOOP;
  ELSE
    WITH swapped AS (
      INSERT INTO {{schema}}.governance_audit_chain_heads AS h (chain, seq, hash, at_ms, prev_seq, prev_hash, moved_at)
      SELECT u.chain, u.seq, u.hash, u.at, u.base, u.prev, now()
        FROM unnest(h_chain, h_seq, h_hash, h_at, h_from, h_prev) AS u(chain, seq, hash, at, base, prev)
       ORDER BY u.chain COLLATE "C"
      ON CONFLICT (chain) DO UPDATE SET seq = EXCLUDED.seq, hash = EXCLUDED.hash, at_ms = EXCLUDED.at_ms,
        prev_seq = EXCLUDED.prev_seq, prev_hash = EXCLUDED.prev_hash, moves = h.moves + 1, moved_at = EXCLUDED.moved_at
      WHERE h.seq = EXCLUDED.prev_seq AND h.hash IS NOT DISTINCT FROM EXCLUDED.prev_hash
      RETURNING h.chain, h.moves, h.prev_seq)
    SELECT coalesce(array_agg(chain), '{}'), array_agg(chain) FILTER (WHERE moves = 0 AND prev_seq > 0)
      INTO won, lost FROM swapped;
  END IF;
  IF cardinality(lost) > 0 THEN
    RAISE EXCEPTION 'chain % has lost its head', lost[1] USING ERRCODE = 'GV002';
  END IF;

  IF cardinality(won) > 0 THEN
    INSERT INTO {{schema}}.governance_audit_events
      (chain, seq, id, at_ms, agent, session, parent, kind, key_id, signer, canonical, hash, prev, hmac, signature)
    SELECT r.chain, r.seq, r.id, r.at, r.agent, r.session, r.parent, r.kind, r.key_id, r.signer, r.canonical, r.hash,
           r.prev, r.hmac, r.signature
      FROM unnest(r_chain, r_seq, r_id, r_at, r_agent, r_session, r_parent, r_kind, r_key_id, r_signer, r_canonical,
                  r_hash, r_prev, r_hmac, r_signature)
        AS r(chain, seq, id, at, agent, session, parent, kind, key_id, signer, canonical, hash, prev, hmac, signature)
     WHERE r.chain = ANY (won);
  END IF;
  RETURN won;
END $$;

-- Takes the row locks of the given heads, in one order, until the caller's transaction ends. A chain without a head gets
-- one at 0, which vanishes with the transaction unless an append follows.
CREATE FUNCTION {{schema}}.governance_lock_heads(p_key text, p_chains text[])
RETURNS TABLE (chain text, seq bigint, hash bytea, at_ms bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c text;
BEGIN
  FOR c IN SELECT u FROM unnest(p_chains) AS u ORDER BY u COLLATE "C" LOOP
    INSERT INTO {{schema}}.governance_audit_chain_heads (chain, seq, at_ms, prev_seq, moved_at)
    VALUES (c, 0, 0, 0, now()) ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT h.chain, h.seq, h.hash, h.at_ms
      FROM {{schema}}.governance_audit_chain_heads h WHERE h.chain = c FOR UPDATE;
  END LOOP;
END $$;

-- Reads what the columns do not hold out of the canonical text; nulls instead of an error for text that is not JSON.
CREATE FUNCTION {{schema}}.governance_read_canonical(
  p_canonical text, OUT model text, OUT input_hash text, OUT output_hash text, OUT metadata json
) LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  j json;
BEGIN
  j := p_canonical::json;
  metadata := j -> 'metadata';
  model := j ->> 'model';
  input_hash := j ->> 'inputHash';
  output_hash := j ->> 'outputHash';
EXCEPTION WHEN OTHERS THEN
  RETURN;
END $$;

-- For people and reports. The evidence is governance_audit_events.canonical.
CREATE VIEW {{schema}}.governance_audit_log AS
SELECT e.chain, e.seq, e.id, to_timestamp(e.at_ms / 1000.0) AS at, e.agent, e.session, e.parent, e.kind,
       c.model, c.input_hash, c.output_hash, c.metadata, e.key_id, e.signer,
       encode(e.hash, 'hex') AS hash, encode(e.prev, 'hex') AS prev, e.recorded_at
  FROM {{schema}}.governance_audit_events e, LATERAL {{schema}}.governance_read_canonical(e.canonical) c;

-- Halts, those of the older name included.
CREATE VIEW {{schema}}.governance_audit_events_halted AS
SELECT * FROM {{schema}}.governance_audit_log WHERE kind = 'agent.halted'
UNION ALL
SELECT * FROM {{schema}}.governance_audit_log WHERE kind = 'agent.killed';

REVOKE ALL ON {{schema}}.governance_meta, {{schema}}.governance_audit_events, {{schema}}.governance_audit_chain_heads,
  {{schema}}.governance_audit_log, {{schema}}.governance_audit_events_halted FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_refuse_change() FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_append_many FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_lock_heads FROM PUBLIC;

-- {{#app_role}}
GRANT USAGE ON SCHEMA {{schema}} TO {{app_role}};
REVOKE ALL ON {{schema}}.governance_meta, {{schema}}.governance_audit_events, {{schema}}.governance_audit_chain_heads,
  {{schema}}.governance_audit_log, {{schema}}.governance_audit_events_halted FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_meta, {{schema}}.governance_audit_events, {{schema}}.governance_audit_chain_heads,
  {{schema}}.governance_audit_log, {{schema}}.governance_audit_events_halted TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_append_many TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_lock_heads TO {{app_role}};
-- {{/app_role}}
