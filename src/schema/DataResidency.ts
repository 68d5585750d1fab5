/** One kind of data that a platform keeps (PLT-09). */
export interface KeptData {
  readonly what: string
  readonly holds: string
  readonly kept: string
}

/** What stands on the data-residency page and in its guide: a test holds the two equal, and compares them with the tables. */
export const keptData: ReadonlyArray<KeptData & { readonly table: string }> = [
  {
    table: "governance_events",
    what: "Copies of audit events",
    holds:
      "type, agent, session, time, metadata up to 64 KiB without secret-shaped parts, version of the library, a SHA-256 of these",
    kept: "until the operator deletes them"
  },
  {
    table: "governance_event_conflicts",
    what: "Conflicting copies",
    holds: "event id and two SHA-256 of redacted content",
    kept: "until the operator deletes them"
  },
  {
    table: "governance_senders",
    what: "Senders",
    holds: "the name that a bridge's process gave itself, and a number",
    kept: "until the operator deletes them"
  },
  {
    table: "governance_forwarded_gates",
    what: "Requests for approval",
    holds:
      "six fields: id, agent, kind, hash of the action, end, version; and who decided what, when. Never arguments or reasons",
    kept: "until the operator deletes them"
  },
  {
    table: "governance_witnessed",
    what: "Checkpoints",
    holds: "signed notes: size and root of a log, and the public key",
    kept: "the last one of each log"
  },
  {
    table: "governance_witnessed_chains",
    what: "Chains of checkpoints",
    holds: "names of chains, which name agents or sessions, with number and hash of the last row",
    kept: "the last one of each chain"
  },
  {
    table: "governance_witness_alarms",
    what: "Refused checkpoints",
    holds: "the refused note and the one that it contradicts",
    kept: "until the operator deletes them"
  },
  {
    table: "governance_witness_adoptions",
    what: "Adopted checkpoints",
    holds:
      "the signed statement of a restored backup: who answers for it, when, why, without secret-shaped parts; the checkpoints before and after",
    kept: "until the operator deletes them"
  },
  {
    table: "governance_workspaces",
    what: "Workspaces",
    holds: "id, name, tier",
    kept: "until the operator deletes them"
  },
  { table: "governance_workflows", what: "Workflows", holds: "id, name", kept: "until the operator deletes them" },
  {
    table: "governance_tokens",
    what: "Workflow tokens",
    holds: "SHA-256 and the last four characters, never the token",
    kept: "until the operator deletes them; useless once revoked"
  },
  {
    table: "governance_members",
    what: "Members",
    holds: "mail address and role",
    kept: "until they are removed from the workspace"
  },
  {
    table: "governance_sign_in_links",
    what: "Sign-in links",
    holds: "mail address and the SHA-256 of the link",
    kept: "15 minutes, or until used"
  },
  {
    table: "governance_sessions",
    what: "Sessions",
    holds: "mail address and the SHA-256 of the session",
    kept: "8 hours"
  },
  {
    table: "governance_cursor_key",
    what: "Key of cursors",
    holds: "32 random bytes that places in timelines are sealed with",
    kept: "as long as the platform"
  },
  {
    table: "governance_rate_limits",
    what: "Rate limits",
    holds: "counters under a SHA-256 of who is counted",
    kept: "at most 25 minutes"
  }
]

/** What nobody may read out of it (PLT-10). */
export const residencyNotes: ReadonlyArray<string> = [
  "The copies here are for looking at. Evidence, and the duty to keep it, stay with the customer's own Postgres.",
  "Secret-shaped parts are removed by the bridge before sending and again here before anything is kept.",
  "Nothing is sent anywhere else: the platform opens no connection but to its database and its mail server."
]
