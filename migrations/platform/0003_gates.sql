-- Requests for approval that bridges forward to the inbox (PLT-04, PLT-06): six fields of each, never what it is about.
--
-- What was decided in the customer's own database stands beside what was decided here, and wins (FWD-06): neither is ever
-- written over.
CREATE TABLE {{schema}}.governance_forwarded_gates (
  workspace      text COLLATE "C" NOT NULL,
  workflow       text COLLATE "C" NOT NULL,
  request        text COLLATE "C" NOT NULL CHECK (octet_length(request) BETWEEN 1 AND 128),
  agent          text COLLATE "C" NOT NULL CHECK (octet_length(agent) BETWEEN 1 AND 2048),
  kind           text NOT NULL CHECK (octet_length(kind) BETWEEN 1 AND 4096),
  action_hash    text COLLATE "C" NOT NULL CHECK (action_hash ~ '^[0-9a-f]{64}$'),
  expires_ms     bigint NOT NULL,
  sdk_version    text NOT NULL CHECK (octet_length(sdk_version) <= 256),
  received_ms    bigint NOT NULL,
  inbox_decision text CHECK (inbox_decision IN ('granted', 'denied')),
  inbox_by       text COLLATE "C" CHECK (octet_length(inbox_by) <= 1024),
  inbox_ms       bigint,
  local_status   text CHECK (local_status IN ('granted', 'denied', 'expired')),
  local_ms       bigint,
  PRIMARY KEY (workspace, workflow, request),
  FOREIGN KEY (workspace, workflow) REFERENCES {{schema}}.governance_workflows,
  CHECK ((inbox_decision IS NULL) = (inbox_by IS NULL) AND (inbox_decision IS NULL) = (inbox_ms IS NULL)),
  CHECK ((local_status IS NULL) = (local_ms IS NULL))
);
CREATE INDEX governance_forwarded_gates_inbox ON {{schema}}.governance_forwarded_gates (workspace, received_ms DESC);

REVOKE ALL ON {{schema}}.governance_forwarded_gates FROM PUBLIC;

-- {{#app_role}}
GRANT SELECT, INSERT ON {{schema}}.governance_forwarded_gates TO {{app_role}};
GRANT UPDATE (inbox_decision, inbox_by, inbox_ms, local_status, local_ms) ON {{schema}}.governance_forwarded_gates TO {{app_role}};
-- {{/app_role}}
