-- What cursors are sealed with, so that nobody makes one up (P-10). One for each platform, for all its processes; whoever can
-- read it can read everything that a cursor leads to.
CREATE TABLE {{schema}}.governance_cursor_key (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  key      bytea NOT NULL CHECK (octet_length(key) = 32)
);

-- Two random ids have 244 bits of the server's strong randomness.
INSERT INTO {{schema}}.governance_cursor_key (key)
VALUES (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));

REVOKE ALL ON {{schema}}.governance_cursor_key FROM PUBLIC;

-- {{#app_role}}
GRANT SELECT ON {{schema}}.governance_cursor_key TO {{app_role}};
-- {{/app_role}}
