import { Schema } from "effect"

/** A date or a duty as somebody published it. Printed, never computed with: no logic depends on a date (DEC-12). */
export const RegulatoryNote = Schema.Struct({
  topic: Schema.String,
  statement: Schema.String,
  source: Schema.String,
  /** The day on which this line was last compared with its source, ISO 8601. */
  asKnownOn: Schema.String
})
export type RegulatoryNote = typeof RegulatoryNote.Type

const asKnownOn = "2026-11-21"

export const regulatoryNotes: ReadonlyArray<RegulatoryNote> = [
  {
    topic: "Automatic logging",
    statement: "High-risk AI systems must technically allow for the automatic recording of events over their lifetime.",
    source: "Regulation (EU) 2024/1689, Article 12(1)",
    asKnownOn
  },
  {
    topic: "Keeping the logs",
    statement:
      "Providers and deployers keep automatically generated logs under their control for a period appropriate to the purpose, at least six months, unless other law says otherwise.",
    source: "Regulation (EU) 2024/1689, Articles 19(1) and 26(6)",
    asKnownOn
  },
  {
    topic: "Application date as published",
    statement: "Duties for high-risk systems of Annex III apply from 2026-08-02.",
    source: "Regulation (EU) 2024/1689, Article 113",
    asKnownOn
  },
  {
    topic: "Application date as reported later",
    statement:
      "The 2026 digital omnibus is reported to defer the Annex III duties to 2027-12-02. Check the Official Journal: this line is a report, not a reading of the law.",
    source: "Reports on the digital omnibus on AI, 2026",
    asKnownOn
  }
]

/** What Article 12 asks for and what this software adds are two things (CMP-15). */
export const beyondTheLaw =
  "The law asks for automatic logging and for keeping the logs. Hash chains, signatures, checkpoints and this bundle are additions of this software: they show whether the log was changed afterwards, which the law does not ask for in this form."
