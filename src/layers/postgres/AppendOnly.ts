import * as Finding from "../../schema/Finding.ts"

/** Tables whose rows nobody changes or removes, by trigger, whoever asks. A migration that adds one names it here. */
export const appendOnlyTables = [
  "governance_agent_key_revocations",
  "governance_agent_keys",
  "governance_audit_chain_keys",
  "governance_audit_events",
  "governance_checkpoint_adoptions",
  "governance_checkpoint_leaves",
  "governance_checkpoint_notes",
  "governance_checkpoints",
  "governance_prompt_activations",
  "governance_prompt_versions"
] as const

const triggers = ["governance_append_only_row", "governance_append_only_truncate"]

/** Every trigger of that name in a schema, and whether it is enabled ALWAYS. */
export const triggersQuery = `SELECT c.relname::text, t.tgname::text, t.tgenabled::text FROM pg_catalog.pg_trigger t
  JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND t.tgname LIKE 'governance\\_append\\_only\\_%' AND NOT t.tgisinternal ORDER BY 1, 2`

/** What is not as the migrations made it, trigger by trigger. */
export const findings = (found: ReadonlyArray<ReadonlyArray<unknown>>): ReadonlyArray<Finding.Finding> => {
  const states = new Map(found.map(([table, name, state]) => [`${table} ${name}`, String(state)]))
  const broken = appendOnlyTables.flatMap((table) =>
    triggers.flatMap((name) => {
      const state = states.get(`${table} ${name}`)
      if (state === "A") return []
      const what = state === undefined ? "is missing" : `is not ENABLE ALWAYS (${state})`
      return [Finding.fail(check, `${name} of ${table} ${what}`, hintOf(table))]
    })
  )
  return broken.length > 0
    ? broken
    : [Finding.ok(check, `always on: ${appendOnlyTables.length} tables take rows and let none go`)]
}

const check = "append-only triggers"

const hintOf = (table: string): string =>
  table.startsWith("governance_checkpoint")
    ? "Checkpoints may have been changed since: run `governance verify --checkpoints` with a file from elsewhere, then restore the trigger."
    : table === "governance_audit_events"
      ? "Rows may have been changed since: run `governance verify` against a checkpoint, then restore the trigger."
      : "Rows may have been changed since: compare them with what the audit log says, then restore the trigger from its migration."
