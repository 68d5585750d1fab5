import { Frequencies, Listing } from "./Listing.ts"
import type { ShownRow } from "./ReportTally.ts"

const attemptKinds: ReadonlySet<string> = new Set(["llm.call", "tool.call", "api.call"])
const resultKinds: ReadonlySet<string> = new Set(["llm.result", "tool.result", "api.result"])

/** An attempt for which the log has no end. `swept`: a later process found it abandoned and charged what was held. */
export interface Orphan {
  readonly row: ShownRow
  swept: boolean
}

/**
 * Pairs each attempt of a chain with its outcome or refusal (BEY-06). They may arrive in either order. Memory follows the calls that are
 * open at one time, not the length of the log.
 */
export class ReportCalls {
  attempts = 0
  attemptsWithInput = 0
  outcomes = 0
  outcomesWithOutput = 0
  late = 0
  readonly results = new Frequencies(100)
  readonly names = new Frequencies(200)
  readonly orphans = new Listing<Orphan>(50)
  sweptOrphans = 0
  /** Outcomes whose attempt the chain does not have. */
  readonly unannounced = new Listing<ShownRow>(50)
  private open = new Map<string, Orphan & { readonly wanted: boolean }>()
  private early = new Map<string, { readonly row: ShownRow; readonly wanted: boolean }>()

  /** `wanted`: whether the row is inside what was asked for; rows outside still answer those inside. */
  visit(row: ShownRow, wanted: boolean): void {
    if (attemptKinds.has(row.kind)) this.attempt(row, wanted)
    else if (row.parent !== null) this.answer(row, row.parent, wanted)
  }

  endOfChain(): void {
    for (const { wanted, ...orphan } of this.open.values()) {
      if (!wanted) continue
      this.orphans.add(() => orphan)
      if (orphan.swept) this.sweptOrphans++
    }
    for (const { row, wanted } of this.early.values()) {
      if (wanted && resultKinds.has(row.kind)) this.unannounced.add(() => row)
    }
    this.open = new Map()
    this.early = new Map()
  }

  private attempt(row: ShownRow, wanted: boolean): void {
    if (wanted) {
      this.attempts++
      if (row.hasInput) this.attemptsWithInput++
      this.names.add(row.name === "" ? "(no name)" : row.name)
    }
    const known = this.early.get(row.id)
    this.early.delete(row.id)
    if (known === undefined || known.row.kind === "call.orphaned") {
      this.open.set(row.id, { row, swept: known !== undefined, wanted })
    }
  }

  private answer(row: ShownRow, parent: string, wanted: boolean): void {
    const isOrphaned = row.kind === "call.orphaned"
    if (!isOrphaned && !resultKinds.has(row.kind) && row.refused === "") return
    if (wanted && resultKinds.has(row.kind)) {
      this.outcomes++
      if (row.hasOutput) this.outcomesWithOutput++
      if (row.late) this.late++
      this.results.add(row.result === "" ? "(not said)" : row.result)
    }
    const attempt = this.open.get(parent)
    if (attempt === undefined) {
      if (!(isOrphaned && this.early.has(parent))) this.early.set(parent, { row, wanted })
    } else if (isOrphaned) attempt.swept = true
    else this.open.delete(parent)
  }
}
