-- Tenants are apart twice: every statement names its workspace, and the database shows and takes rows of no other one (P-09).
--
-- A transaction says which workspace it is in by `set_config('governance.workspace', ..., true)`: for itself alone, so it works
-- behind a transaction pooler. A statement that has not said it is refused, loudly, rather than told that there is nothing.
-- Forced, so that a server that connects as the owner is held to it too. Whoever owns the tables and looks after them says
-- `SET governance.operator = 'on'`; from anybody else that word counts for nothing.

-- At once and in the order in which ingest takes them, so that neither waits for the other in a circle (P-12).
LOCK TABLE {{schema}}.governance_workflows, {{schema}}.governance_senders, {{schema}}.governance_events,
  {{schema}}.governance_event_conflicts, {{schema}}.governance_forwarded_gates, {{schema}}.governance_tokens,
  {{schema}}.governance_members, {{schema}}.governance_workspaces, {{schema}}.governance_witnessed,
  {{schema}}.governance_witnessed_chains, {{schema}}.governance_witness_alarms IN ACCESS EXCLUSIVE MODE;

CREATE FUNCTION {{schema}}.governance_operates() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(current_setting('governance.operator', true), '') = 'on' AND pg_has_role(current_user,
    (SELECT c.relowner FROM pg_class c WHERE c.oid = '{{schema}}.governance_workspaces'::regclass), 'USAGE')
$$;

CREATE FUNCTION {{schema}}.governance_tenant() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_workspace text := coalesce(current_setting('governance.workspace', true), '');
BEGIN
  IF v_workspace = '' AND NOT {{schema}}.governance_operates() THEN
    RAISE EXCEPTION 'this statement has not said which workspace it is in' USING ERRCODE = 'GV110',
      HINT = 'The owner of the tables says SET governance.operator = ''on''.';
  END IF;
  RETURN v_workspace;
END $$;

-- For every table that has a workspace, also those of later migrations.
CREATE FUNCTION {{schema}}.governance_keep_apart(p_table regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', p_table);
  IF NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = p_table AND p.polname = 'governance_tenant') THEN
    -- In sub-selects, so that each is asked once a statement and not once a row.
    EXECUTE format('CREATE POLICY governance_tenant ON %s USING (workspace = (SELECT {{schema}}.governance_tenant())
      OR (SELECT {{schema}}.governance_operates()))', p_table);
  END IF;
END $$;

-- Those that are still open; nothing is locked when none is.
CREATE FUNCTION {{schema}}.governance_keep_all_apart() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_table regclass;
BEGIN
  FOR v_table IN
    SELECT c.oid::regclass FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace = '{{schema}}'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'workspace'
       AND NOT a.attisdropped AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
         SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'governance_tenant'))
     ORDER BY c.relname
  LOOP
    PERFORM {{schema}}.governance_keep_apart(v_table);
  END LOOP;
END $$;

SELECT {{schema}}.governance_keep_all_apart();

-- A function may not carry these settings by a SET of its own unless a superuser makes it, so each puts back what it found; an
-- error takes the setting away with the transaction.

-- In the workspace that it is called with, and only while it runs: one round trip, whatever the caller's transaction is in.
-- It waits longer for a lock than a migration does, so that the migration is the one that steps back (P-12); so does the lookup
-- of a token.
CREATE FUNCTION {{schema}}.governance_ingest_within(
  p_workspace text, p_workflow text, p_instance text, p_now bigint, p_events text[], p_seqs bigint[], p_types text[],
  p_agents text[], p_sessions text[], p_created text[], p_metadata text[], p_versions text[], p_digests text[],
  OUT r_outcome text, OUT r_index int, OUT r_stored int, OUT r_duplicates int, OUT r_expected bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '4s' AS $$
DECLARE
  v_before text := coalesce(current_setting('governance.workspace', true), '');
BEGIN
  -- Whoever is told that it is stored may forget it, whatever the server's default is (P-07).
  IF current_setting('synchronous_commit') = 'off' THEN PERFORM set_config('synchronous_commit', 'on', true); END IF;
  PERFORM set_config('governance.workspace', p_workspace, true);
  SELECT i.r_outcome, i.r_index, i.r_stored, i.r_duplicates, i.r_expected
    INTO r_outcome, r_index, r_stored, r_duplicates, r_expected
    FROM {{schema}}.governance_ingest(p_workspace, p_workflow, p_instance, p_now, p_events, p_seqs, p_types, p_agents, p_sessions,
      p_created, p_metadata, p_versions, p_digests) i;
  PERFORM set_config('governance.workspace', v_before, true);
END $$;

-- What is rightly asked before a workspace is known, each as narrow as its question.

-- Whose token has this digest (P-03).
CREATE FUNCTION {{schema}}.governance_token_owner(p_digest text)
RETURNS TABLE (r_workspace text, r_workflow text, r_token text, r_tier text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '4s' AS $$
DECLARE
  v_before text := coalesce(current_setting('governance.operator', true), '');
BEGIN
  PERFORM set_config('governance.operator', 'on', true);
  RETURN QUERY SELECT t.workspace, t.workflow, t.token, w.tier FROM {{schema}}.governance_tokens t
    JOIN {{schema}}.governance_workspaces w ON w.workspace = t.workspace
   WHERE t.digest = p_digest AND t.revoked_ms IS NULL;
  PERFORM set_config('governance.operator', v_before, true);
END $$;

-- Where the token of this public id belongs: for whoever operates the platform.
CREATE FUNCTION {{schema}}.governance_token_place(p_token text)
RETURNS TABLE (r_workspace text, r_workflow text, r_name text, r_created_ms bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_before text := coalesce(current_setting('governance.operator', true), '');
BEGIN
  PERFORM set_config('governance.operator', 'on', true);
  RETURN QUERY SELECT w.workspace, w.workflow, w.name, w.created_ms FROM {{schema}}.governance_tokens t
    JOIN {{schema}}.governance_workflows w ON w.workspace = t.workspace AND w.workflow = t.workflow
   WHERE t.token = p_token;
  PERFORM set_config('governance.operator', v_before, true);
END $$;

-- Where somebody is a member: asked when they sign in, and at each of their requests.
CREATE FUNCTION {{schema}}.governance_memberships(p_email text)
RETURNS TABLE (r_workspace text, r_name text, r_tier text, r_role text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_before text := coalesce(current_setting('governance.operator', true), '');
BEGIN
  PERFORM set_config('governance.operator', 'on', true);
  RETURN QUERY SELECT w.workspace, w.name, w.tier, m.role FROM {{schema}}.governance_members m
    JOIN {{schema}}.governance_workspaces w ON w.workspace = m.workspace
   WHERE m.email = p_email;
  PERFORM set_config('governance.operator', v_before, true);
END $$;

REVOKE ALL ON FUNCTION {{schema}}.governance_operates, {{schema}}.governance_tenant, {{schema}}.governance_keep_apart,
  {{schema}}.governance_keep_all_apart, {{schema}}.governance_ingest_within, {{schema}}.governance_token_owner, {{schema}}.governance_token_place,
  {{schema}}.governance_memberships FROM PUBLIC;

-- {{#app_role}}
-- Run again after later files: a table that one of them forgot is closed before the role can reach it.
SELECT {{schema}}.governance_keep_all_apart();
REVOKE ALL ON FUNCTION {{schema}}.governance_ingest FROM {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_operates, {{schema}}.governance_tenant, {{schema}}.governance_ingest_within,
  {{schema}}.governance_token_owner, {{schema}}.governance_token_place, {{schema}}.governance_memberships TO {{app_role}};
-- {{/app_role}}
