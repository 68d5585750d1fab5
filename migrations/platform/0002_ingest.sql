-- Copies of audit events that bridges send, as they arrived and without their secrets (PLT-03, PLT-07).
--
-- The truth stays in the customer's own log: this is a timeline to look at, and nothing is proved with it (PLT-10).

-- The number that the next event of a sender must carry. A sender is one process of one bridge (PLT-11).
CREATE TABLE {{schema}}.governance_senders (
  workspace text COLLATE "C" NOT NULL,
  workflow  text COLLATE "C" NOT NULL,
  instance  text COLLATE "C" NOT NULL CHECK (octet_length(instance) <= 512),
  expected  bigint NOT NULL CHECK (expected >= 1),
  seen_ms   bigint NOT NULL,
  PRIMARY KEY (workspace, workflow, instance),
  FOREIGN KEY (workspace, workflow) REFERENCES {{schema}}.governance_workflows
) WITH (fillfactor = 50);

-- position: the place in the timeline, without gaps, in the order of commits. digest: SHA-256 of the redacted content, hex.
CREATE TABLE {{schema}}.governance_events (
  workspace   text COLLATE "C" NOT NULL,
  workflow    text COLLATE "C" NOT NULL,
  position    bigint NOT NULL CHECK (position >= 1),
  event       text COLLATE "C" NOT NULL CHECK (octet_length(event) BETWEEN 1 AND 64),
  instance    text COLLATE "C" NOT NULL,
  seq         bigint NOT NULL CHECK (seq >= 1),
  event_type  text COLLATE "C" NOT NULL CHECK (octet_length(event_type) BETWEEN 1 AND 1024),
  agent       text COLLATE "C" NOT NULL CHECK (octet_length(agent) BETWEEN 1 AND 2048),
  session     text COLLATE "C" CHECK (octet_length(session) BETWEEN 1 AND 2048),
  created_at  text NOT NULL CHECK (octet_length(created_at) <= 64),
  metadata    text NOT NULL CHECK (octet_length(metadata) <= 262144),
  sdk_version text NOT NULL CHECK (octet_length(sdk_version) <= 256),
  digest      text COLLATE "C" NOT NULL,
  received_ms bigint NOT NULL,
  PRIMARY KEY (workspace, workflow, position),
  UNIQUE (workspace, workflow, event)
);
CREATE INDEX governance_events_of_agent ON {{schema}}.governance_events (workspace, workflow, agent, position);
CREATE INDEX governance_events_of_session ON {{schema}}.governance_events (workspace, workflow, session, position);

-- An event id that came a second time with other content: evidence, kept with both digests (P-02).
CREATE TABLE {{schema}}.governance_event_conflicts (
  workspace    text COLLATE "C" NOT NULL,
  workflow     text COLLATE "C" NOT NULL,
  event        text COLLATE "C" NOT NULL,
  kept_digest  text NOT NULL,
  other_digest text COLLATE "C" NOT NULL,
  seen_ms      bigint NOT NULL,
  PRIMARY KEY (workspace, workflow, event, other_digest)
);

-- Takes events of one sender in order: all of them, or none when one is out of order or conflicts. Behind the row of the
-- workflow, so that a reader of positions never misses a late commit. r_outcome is null when there is no such workflow; r_index
-- is the event that was refused. The arrays are parallel.
CREATE FUNCTION {{schema}}.governance_ingest(
  p_workspace text, p_workflow text, p_instance text, p_now bigint, p_events text[], p_seqs bigint[], p_types text[],
  p_agents text[], p_sessions text[], p_created text[], p_metadata text[], p_versions text[], p_digests text[],
  OUT r_outcome text, OUT r_index int, OUT r_stored int, OUT r_duplicates int, OUT r_expected bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_position bigint;
  v_expected bigint;
  v_known    text;
BEGIN
  SELECT w.last_position INTO v_position FROM {{schema}}.governance_workflows w
   WHERE w.workspace = p_workspace AND w.workflow = p_workflow FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  INSERT INTO {{schema}}.governance_senders (workspace, workflow, instance, expected, seen_ms)
  VALUES (p_workspace, p_workflow, p_instance, 1, p_now) ON CONFLICT DO NOTHING;
  SELECT s.expected INTO v_expected FROM {{schema}}.governance_senders s
   WHERE s.workspace = p_workspace AND s.workflow = p_workflow AND s.instance = p_instance;
  r_expected := v_expected;
  r_stored := 0;
  r_duplicates := 0;
  BEGIN
    FOR i IN 1 .. coalesce(array_length(p_events, 1), 0) LOOP
      r_index := i;
      SELECT e.digest INTO v_known FROM {{schema}}.governance_events e
       WHERE e.workspace = p_workspace AND e.workflow = p_workflow AND e.event = p_events[i];
      IF FOUND THEN
        IF v_known <> p_digests[i] THEN
          r_outcome := 'conflict';
          RAISE EXCEPTION 'refused' USING ERRCODE = 'GV100';
        END IF;
        r_duplicates := r_duplicates + 1;
        -- A sender that lost our answer, and its memory with it, sends the event again under its next number.
        IF p_seqs[i] = v_expected THEN v_expected := v_expected + 1; END IF;
      ELSIF p_seqs[i] <> v_expected THEN
        r_outcome := 'order';
        RAISE EXCEPTION 'refused' USING ERRCODE = 'GV100';
      ELSE
        r_stored := r_stored + 1;
        v_position := v_position + 1;
        v_expected := v_expected + 1;
        INSERT INTO {{schema}}.governance_events (workspace, workflow, position, event, instance, seq, event_type, agent,
          session, created_at, metadata, sdk_version, digest, received_ms)
        VALUES (p_workspace, p_workflow, v_position, p_events[i], p_instance, p_seqs[i], p_types[i], p_agents[i],
          p_sessions[i], p_created[i], p_metadata[i], p_versions[i], p_digests[i], p_now);
      END IF;
    END LOOP;
    UPDATE {{schema}}.governance_workflows w SET last_position = v_position
     WHERE w.workspace = p_workspace AND w.workflow = p_workflow;
    UPDATE {{schema}}.governance_senders s SET expected = v_expected, seen_ms = p_now
     WHERE s.workspace = p_workspace AND s.workflow = p_workflow AND s.instance = p_instance;
    r_outcome := 'taken';
    r_expected := v_expected;
  EXCEPTION WHEN SQLSTATE 'GV100' THEN
    -- What was stored in the block is gone with it; only the evidence of a conflict stays. Of an event that conflicts inside
    -- its own batch nothing was kept, so there is nothing to compare.
    IF r_outcome = 'conflict' THEN
      INSERT INTO {{schema}}.governance_event_conflicts (workspace, workflow, event, kept_digest, other_digest, seen_ms)
      SELECT e.workspace, e.workflow, e.event, e.digest, p_digests[r_index], p_now FROM {{schema}}.governance_events e
       WHERE e.workspace = p_workspace AND e.workflow = p_workflow AND e.event = p_events[r_index] ON CONFLICT DO NOTHING;
    END IF;
  END;
END $$;

REVOKE ALL ON {{schema}}.governance_senders, {{schema}}.governance_events, {{schema}}.governance_event_conflicts FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_ingest FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_senders, {{schema}}.governance_events, {{schema}}.governance_event_conflicts FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_events, {{schema}}.governance_event_conflicts TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_ingest TO {{app_role}};
-- {{/app_role}}
