-- Prompt templates: versions named by their hash, and which of them was active when.
--
-- Placeholders and app_role markers: see 0001_audit.sql. The prompt's name is first in every key and statement.

-- The row that serialises registrations, activations and rollbacks of a name. active: seq of the last activation, 0 for none.
CREATE TABLE {{schema}}.governance_prompts (
  name   text COLLATE "C" PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 2048),
  active bigint NOT NULL DEFAULT 0 CHECK (active >= 0)
);

-- content is canonical JSON of the text; version is its SHA-256 in hex, and nothing else can be stored under that name.
CREATE TABLE {{schema}}.governance_prompt_versions (
  name          text COLLATE "C" NOT NULL,
  version       text COLLATE "C" NOT NULL,
  seq           bigint NOT NULL CHECK (seq >= 1),
  content       text NOT NULL CHECK (octet_length(content) <= 2097152),
  registered_by text NOT NULL,
  registered_at timestamptz NOT NULL,
  PRIMARY KEY (name, version),
  UNIQUE (name, seq),
  CHECK (version = encode(sha256(convert_to('effect-governance/prompt/v1/hash' || chr(10) || content, 'UTF8')), 'hex'))
);

-- below: the activation that a rollback goes back to, 0 for none. After A, B, C a rollback appends B with the below of that B,
-- so that the next one gives A.
CREATE TABLE {{schema}}.governance_prompt_activations (
  name         text COLLATE "C" NOT NULL,
  seq          bigint NOT NULL CHECK (seq >= 1),
  version      text COLLATE "C" NOT NULL,
  below        bigint NOT NULL CHECK (below BETWEEN 0 AND seq - 1),
  activated_by text NOT NULL,
  activated_at timestamptz NOT NULL,
  PRIMARY KEY (name, seq)
);

CREATE TRIGGER governance_append_only_row BEFORE UPDATE OR DELETE ON {{schema}}.governance_prompt_versions
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_prompt_versions ENABLE ALWAYS TRIGGER governance_append_only_row;
CREATE TRIGGER governance_append_only_truncate BEFORE TRUNCATE ON {{schema}}.governance_prompt_versions
  FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_prompt_versions ENABLE ALWAYS TRIGGER governance_append_only_truncate;

CREATE TRIGGER governance_append_only_row BEFORE UPDATE OR DELETE ON {{schema}}.governance_prompt_activations
  FOR EACH ROW EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_prompt_activations ENABLE ALWAYS TRIGGER governance_append_only_row;
CREATE TRIGGER governance_append_only_truncate BEFORE TRUNCATE ON {{schema}}.governance_prompt_activations
  FOR EACH STATEMENT EXECUTE FUNCTION {{schema}}.governance_refuse_change();
ALTER TABLE {{schema}}.governance_prompt_activations ENABLE ALWAYS TRIGGER governance_append_only_truncate;

-- False when the version is there already; then nothing of it changes.
CREATE FUNCTION {{schema}}.governance_register_prompt(p_name text, p_version text, p_content text, p_by text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_seq bigint;
BEGIN
  INSERT INTO {{schema}}.governance_prompts (name) VALUES (p_name) ON CONFLICT (name) DO NOTHING;
  PERFORM 1 FROM {{schema}}.governance_prompts p WHERE p.name = p_name FOR UPDATE;
  SELECT coalesce(max(v.seq), 0) + 1 INTO v_seq FROM {{schema}}.governance_prompt_versions v WHERE v.name = p_name;
  INSERT INTO {{schema}}.governance_prompt_versions (name, version, seq, content, registered_by, registered_at)
  VALUES (p_name, p_version, v_seq, p_content, p_by, {{schema}}.governance_now())
  ON CONFLICT (name, version) DO NOTHING;
  RETURN FOUND;
END $$;

CREATE FUNCTION {{schema}}.governance_activate_prompt(
  p_name text, p_version text, p_by text, OUT r_outcome text, OUT r_seq bigint, OUT r_at timestamptz, OUT r_previous text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_active bigint;
BEGIN
  SELECT p.active INTO v_active FROM {{schema}}.governance_prompts p WHERE p.name = p_name FOR UPDATE;
  IF NOT EXISTS (SELECT 1 FROM {{schema}}.governance_prompt_versions v WHERE v.name = p_name AND v.version = p_version) THEN
    r_outcome := 'Unknown';
    RETURN;
  END IF;
  SELECT a.version INTO r_previous FROM {{schema}}.governance_prompt_activations a
   WHERE a.name = p_name AND a.seq = v_active;
  IF r_previous = p_version THEN
    r_outcome := 'Unchanged';
    RETURN;
  END IF;
  r_outcome := 'Activated';
  r_seq := v_active + 1;
  r_at := {{schema}}.governance_now();
  INSERT INTO {{schema}}.governance_prompt_activations (name, seq, version, below, activated_by, activated_at)
  VALUES (p_name, r_seq, p_version, v_active, p_by, r_at);
  UPDATE {{schema}}.governance_prompts p SET active = r_seq WHERE p.name = p_name;
END $$;

CREATE FUNCTION {{schema}}.governance_roll_back_prompt(
  p_name text, p_by text,
  OUT r_outcome text, OUT r_seq bigint, OUT r_at timestamptz, OUT r_previous text, OUT r_version text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_active bigint;
  v_target bigint;
  v_below  bigint;
BEGIN
  SELECT p.active INTO v_active FROM {{schema}}.governance_prompts p WHERE p.name = p_name FOR UPDATE;
  IF NOT FOUND THEN
    r_outcome := 'Unknown';
    RETURN;
  END IF;
  SELECT a.version, a.below INTO r_previous, v_target FROM {{schema}}.governance_prompt_activations a
   WHERE a.name = p_name AND a.seq = v_active;
  SELECT a.version, a.below INTO r_version, v_below FROM {{schema}}.governance_prompt_activations a
   WHERE a.name = p_name AND a.seq = v_target;
  IF NOT FOUND THEN
    r_outcome := 'NothingEarlier';
    RETURN;
  END IF;
  r_outcome := 'Activated';
  r_seq := v_active + 1;
  r_at := {{schema}}.governance_now();
  INSERT INTO {{schema}}.governance_prompt_activations (name, seq, version, below, activated_by, activated_at)
  VALUES (p_name, r_seq, r_version, v_below, p_by, r_at);
  UPDATE {{schema}}.governance_prompts p SET active = r_seq WHERE p.name = p_name;
END $$;

REVOKE ALL ON {{schema}}.governance_prompts, {{schema}}.governance_prompt_versions,
  {{schema}}.governance_prompt_activations FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_register_prompt FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_activate_prompt FROM PUBLIC;
REVOKE ALL ON FUNCTION {{schema}}.governance_roll_back_prompt FROM PUBLIC;

-- {{#app_role}}
REVOKE ALL ON {{schema}}.governance_prompts, {{schema}}.governance_prompt_versions,
  {{schema}}.governance_prompt_activations FROM {{app_role}};
GRANT SELECT ON {{schema}}.governance_prompts, {{schema}}.governance_prompt_versions,
  {{schema}}.governance_prompt_activations TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_register_prompt TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_activate_prompt TO {{app_role}};
GRANT EXECUTE ON FUNCTION {{schema}}.governance_roll_back_prompt TO {{app_role}};
-- {{/app_role}}
