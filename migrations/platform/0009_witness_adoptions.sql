-- A restored backup that somebody answered for with the key of its checkpoints: what the witness held before, what it holds since,
-- and the signed statement. Evidence, so nothing of it is ever changed; alarms stay beside it (BEY-04, A-06, P-04).
CREATE TABLE {{schema}}.governance_witness_adoptions (
  workspace text COLLATE "C" NOT NULL,
  workflow  text COLLATE "C" NOT NULL,
  adoption  text COLLATE "C" NOT NULL,
  origin    text NOT NULL,
  statement text NOT NULL,
  kept_note text NOT NULL,
  from_size bigint NOT NULL CHECK (from_size >= 0),
  size      bigint NOT NULL CHECK (size >= 0),
  by        text NOT NULL,
  reason    text NOT NULL,
  at        text NOT NULL,
  seen_ms   bigint NOT NULL,
  PRIMARY KEY (workspace, workflow, adoption),
  FOREIGN KEY (workspace, workflow) REFERENCES {{schema}}.governance_workflows
);
CREATE INDEX governance_witness_adoptions_age ON {{schema}}.governance_witness_adoptions (workspace, workflow, seen_ms DESC);

REVOKE ALL ON {{schema}}.governance_witness_adoptions FROM PUBLIC;

-- {{#app_role}}
GRANT SELECT, INSERT ON {{schema}}.governance_witness_adoptions TO {{app_role}};
-- What was known of single chains says nothing about a log that was adopted: it is learnt anew.
GRANT DELETE ON {{schema}}.governance_witnessed_chains TO {{app_role}};
-- {{/app_role}}
