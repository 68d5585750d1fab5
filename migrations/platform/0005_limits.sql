-- How often something was done in its window, for all processes of the platform together. Lost in a crash of the server, and
-- then everybody begins anew: that costs less than writing each request to the log of the database.
CREATE UNLOGGED TABLE {{schema}}.governance_rate_limits (
  bucket     text COLLATE "C" PRIMARY KEY CHECK (octet_length(bucket) BETWEEN 1 AND 512),
  started_ms bigint NOT NULL,
  used       bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX governance_rate_limits_age ON {{schema}}.governance_rate_limits (started_ms);

REVOKE ALL ON {{schema}}.governance_rate_limits FROM PUBLIC;

-- {{#app_role}}
GRANT SELECT, INSERT, UPDATE, DELETE ON {{schema}}.governance_rate_limits TO {{app_role}};
-- {{/app_role}}
