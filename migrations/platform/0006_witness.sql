-- What the platform saw of its customers' checkpoints, as somebody else than they (BEY-04, P-04).

-- The last checkpoint of a log that was consistent with the one before. frontier: peaks of its tree in hex, so that leaves
-- can be added; null while only proofs were shown.
CREATE TABLE {{schema}}.governance_witnessed (
  workspace    text COLLATE "C" NOT NULL,
  workflow     text COLLATE "C" NOT NULL,
  origin       text COLLATE "C" NOT NULL CHECK (octet_length(origin) BETWEEN 1 AND 2048),
  verifier_key text NOT NULL,
  size         bigint NOT NULL CHECK (size >= 0),
  root         text NOT NULL CHECK (root ~ '^[0-9a-f]{64}$'),
  frontier     text[],
  note         text NOT NULL,
  seen_ms      bigint NOT NULL,
  PRIMARY KEY (workspace, workflow, origin),
  FOREIGN KEY (workspace, workflow) REFERENCES {{schema}}.governance_workflows
) WITH (fillfactor = 50);

-- The furthest row of each chain that a leaf has spoken of.
CREATE TABLE {{schema}}.governance_witnessed_chains (
  workspace text COLLATE "C" NOT NULL,
  workflow  text COLLATE "C" NOT NULL,
  origin    text COLLATE "C" NOT NULL,
  chain     text COLLATE "C" NOT NULL CHECK (octet_length(chain) BETWEEN 1 AND 2048),
  seq       bigint NOT NULL,
  hash      text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
  PRIMARY KEY (workspace, workflow, origin, chain)
) WITH (fillfactor = 70);

-- Checkpoints that were refused, with the one that they contradict: evidence, so nothing of it is ever changed.
CREATE TABLE {{schema}}.governance_witness_alarms (
  workspace text COLLATE "C" NOT NULL,
  workflow  text COLLATE "C" NOT NULL,
  alarm     text COLLATE "C" NOT NULL,
  origin    text NOT NULL,
  problem   text NOT NULL,
  note      text NOT NULL,
  kept_note text,
  seen_ms   bigint NOT NULL,
  PRIMARY KEY (workspace, workflow, alarm),
  FOREIGN KEY (workspace, workflow) REFERENCES {{schema}}.governance_workflows
);
CREATE INDEX governance_witness_alarms_age ON {{schema}}.governance_witness_alarms (workspace, workflow, seen_ms DESC);

REVOKE ALL ON {{schema}}.governance_witnessed, {{schema}}.governance_witnessed_chains, {{schema}}.governance_witness_alarms FROM PUBLIC;

-- {{#app_role}}
GRANT SELECT, INSERT, UPDATE ON {{schema}}.governance_witnessed, {{schema}}.governance_witnessed_chains TO {{app_role}};
GRANT SELECT, INSERT ON {{schema}}.governance_witness_alarms TO {{app_role}};
-- {{/app_role}}
