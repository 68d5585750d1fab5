-- The platform: who it belongs to. Workspaces are tenants; nothing of one is reachable with the ids of another (P-09).
--
-- Placeholders and app_role markers: see ../0001_audit.sql. The workspace is first in every key and statement. Times are
-- milliseconds since 1970. No secret is stored: a token is there as its SHA-256.

CREATE TABLE {{schema}}.governance_workspaces (
  workspace  text COLLATE "C" PRIMARY KEY CHECK (workspace ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name       text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 1024),
  tier       text NOT NULL CHECK (tier IN ('free', 'team', 'enterprise')),
  created_ms bigint NOT NULL
);

-- email is in lower case: one person is one row.
CREATE TABLE {{schema}}.governance_members (
  workspace  text COLLATE "C" NOT NULL REFERENCES {{schema}}.governance_workspaces,
  email      text COLLATE "C" NOT NULL CHECK (octet_length(email) BETWEEN 3 AND 1024),
  role       text NOT NULL CHECK (role IN ('viewer', 'approver', 'admin')),
  invited_ms bigint NOT NULL,
  PRIMARY KEY (workspace, email)
);
CREATE INDEX governance_members_of ON {{schema}}.governance_members (email, workspace);

-- last_position: the place of the newest event in the workflow's timeline. Its row lock is what makes places follow commits.
CREATE TABLE {{schema}}.governance_workflows (
  workspace     text COLLATE "C" NOT NULL REFERENCES {{schema}}.governance_workspaces,
  workflow      text COLLATE "C" NOT NULL CHECK (octet_length(workflow) BETWEEN 1 AND 64),
  name          text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 1024),
  created_ms    bigint NOT NULL,
  last_position bigint NOT NULL DEFAULT 0 CHECK (last_position >= 0),
  PRIMARY KEY (workspace, workflow),
  UNIQUE (workspace, name)
) WITH (fillfactor = 50);

-- digest: SHA-256 of the whole token in hex. hint: its last four characters, so that people tell tokens apart.
CREATE TABLE {{schema}}.governance_tokens (
  workspace  text COLLATE "C" NOT NULL,
  workflow   text COLLATE "C" NOT NULL,
  token      text COLLATE "C" NOT NULL CHECK (octet_length(token) BETWEEN 1 AND 64),
  digest     text COLLATE "C" NOT NULL UNIQUE CHECK (digest ~ '^[0-9a-f]{64}$'),
  hint       text NOT NULL CHECK (octet_length(hint) <= 8),
  created_ms bigint NOT NULL,
  revoked_ms bigint,
  PRIMARY KEY (workspace, workflow, token),
  FOREIGN KEY (workspace, workflow) REFERENCES {{schema}}.governance_workflows
);

REVOKE ALL ON {{schema}}.governance_workspaces, {{schema}}.governance_members, {{schema}}.governance_workflows,
  {{schema}}.governance_tokens FROM PUBLIC;

-- {{#app_role}}
GRANT USAGE ON SCHEMA {{schema}} TO {{app_role}};
GRANT SELECT, INSERT ON {{schema}}.governance_workspaces, {{schema}}.governance_workflows, {{schema}}.governance_tokens TO {{app_role}};
GRANT UPDATE (tier) ON {{schema}}.governance_workspaces TO {{app_role}};
GRANT UPDATE (revoked_ms) ON {{schema}}.governance_tokens TO {{app_role}};
GRANT SELECT, INSERT, UPDATE, DELETE ON {{schema}}.governance_members TO {{app_role}};
-- {{/app_role}}
