-- Signing in without a password (PLT-01, OQ-28). Links and sessions are there as their SHA-256 alone.

CREATE TABLE {{schema}}.governance_sign_in_links (
  digest     text COLLATE "C" PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
  email      text COLLATE "C" NOT NULL,
  expires_ms bigint NOT NULL
);
CREATE INDEX governance_sign_in_links_expiry ON {{schema}}.governance_sign_in_links (expires_ms);

CREATE TABLE {{schema}}.governance_sessions (
  digest     text COLLATE "C" PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
  email      text COLLATE "C" NOT NULL,
  created_ms bigint NOT NULL,
  expires_ms bigint NOT NULL
);
CREATE INDEX governance_sessions_of ON {{schema}}.governance_sessions (email);

REVOKE ALL ON {{schema}}.governance_sign_in_links, {{schema}}.governance_sessions FROM PUBLIC;

-- {{#app_role}}
GRANT SELECT, INSERT, DELETE ON {{schema}}.governance_sign_in_links, {{schema}}.governance_sessions TO {{app_role}};
-- {{/app_role}}
