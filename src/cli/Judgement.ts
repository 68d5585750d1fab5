import { Effect } from "effect"
import type { Verification } from "../schema/ReportAssembly.ts"
import { Tampered, Unverifiable } from "./CliFailure.ts"

/** Rows whose keys are not at hand were not judged, which is no evidence for or against them. */
export const keysMissing = new Unverifiable({
  what: "rows were sealed or signed with keys that are not here",
  todo: "Give the rotated-out secrets as GOVERNANCE_CHAIN_KEY_<fingerprint>, and the current one as GOVERNANCE_AUDIT_SECRET."
})

export const secretMissing = new Unverifiable({
  what: "without the audit secret nobody can tell who wrote the rows",
  todo: "Set GOVERNANCE_AUDIT_SECRET and verify again."
})

/** Fails where chains were tampered with. */
export const untampered = Effect.fnUntraced(function* ({ breaks, results }: Verification) {
  const chains = results.filter(({ verdict }) => verdict === "tampered").length
  if (chains > 0) return yield* new Tampered({ breaks, chains })
})

/** The end of a command whose caller asked whether the chains verify: fails with anything but yes (DEC-20). */
export const concluded = Effect.fnUntraced(function* (found: Verification) {
  if (found.error !== null) {
    return yield* new Unverifiable({ what: found.error, todo: "Run `governance verify` to see why." })
  }
  yield* untampered(found)
  if (found.results.some(({ verdict }) => verdict === "unverifiable")) return yield* keysMissing
  if (!found.authenticated && found.results.some(({ rows }) => rows > 0)) return yield* secretMissing
})
