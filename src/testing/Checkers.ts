/**
 * The invariants I1 to I9 as pure functions over recorded histories and what the store holds in the end (BEY-18, threats
 * 2.12). Indeterminate counts as may-have-happened, never as failure. No violation is an empty list.
 */
import { type History, ofKind } from "./History.ts"

export type Invariant = "I1" | "I2" | "I3" | "I4" | "I5" | "I6" | "I7" | "I8" | "I9"

export interface Violation {
  readonly invariant: Invariant
  readonly what: string
}

/** One stored row of a chain, as read at the end. `hash` and `prev` in any one text form. */
export interface StoredRow {
  readonly chain: string
  readonly seq: number
  readonly event: string
  readonly hash: string
  /** Null for the first row of a chain. */
  readonly prev: string | null
}

/** I1 and I2: every chain counts 1, 2, 3 without a gap, each row follows the one before, and no event is stored twice. */
export const forksAndGaps = (rows: ReadonlyArray<StoredRow>): ReadonlyArray<Violation> =>
  [...Map.groupBy(rows, ({ chain }) => chain)].flatMap(([chain, own]) => {
    const found: Array<Violation> = []
    const fork = (what: string) => found.push({ invariant: "I1", what: `${chain}: ${what}` })
    const gap = (what: string) => found.push({ invariant: "I2", what: `${chain}: ${what}` })
    for (const [seq, same] of Map.groupBy(own, (row) => row.seq))
      if (same.length > 1) fork(`${same.length} rows with seq ${seq}`)
    for (const [prev, same] of Map.groupBy(own, (row) => row.prev))
      if (same.length > 1) fork(`${same.length} rows follow ${prev}`)
    for (const [event, same] of Map.groupBy(own, (row) => row.event))
      if (same.length > 1) fork(`event ${event} is stored ${same.length} times`)
    const sorted = own.toSorted((a, b) => a.seq - b.seq)
    if (sorted[0]!.seq !== 1) gap(`begins with seq ${sorted[0]!.seq}`)
    if (sorted[0]!.seq === 1 && sorted[0]!.prev !== null) fork("the first row has a predecessor")
    for (const [i, row] of sorted.entries()) {
      const before = sorted[i - 1]
      if (before === undefined || before.seq === row.seq) continue
      if (before.seq + 1 !== row.seq) gap(`nothing between seq ${before.seq} and ${row.seq}`)
      else if (row.prev !== before.hash) fork(`seq ${row.seq} does not follow seq ${before.seq}`)
    }
    return found
  })

/** I3: what was acknowledged is stored, where it was acknowledged; what certainly failed is not; nothing appears unasked. */
export const acknowledgedIsStored = (
  history: History,
  rows: ReadonlyArray<StoredRow>,
  options: { readonly complete: boolean } = { complete: true }
): ReadonlyArray<Violation> => {
  const key = (chain: string, event: string) => JSON.stringify([chain, event])
  const stored = new Map(rows.map((row) => [key(row.chain, row.event), row]))
  const appends = Map.groupBy(ofKind(history, "append"), ({ data }) => key(data.chain, data.event))
  const found: Array<Violation> = []
  for (const [id, tries] of appends) {
    const row = stored.get(id)
    for (const { data, outcome } of tries) {
      if (outcome !== "ok") continue
      if (row === undefined)
        found.push({ invariant: "I3", what: `${data.chain}: acknowledged event ${data.event} is not stored` })
      else if (data.seq !== null && data.seq !== row.seq) {
        found.push({
          invariant: "I3",
          what: `${data.chain}: event ${data.event} was acknowledged at seq ${data.seq}, stored at ${row.seq}`
        })
      }
    }
    if (row !== undefined && tries.every(({ outcome }) => outcome === "fail")) {
      found.push({
        invariant: "I3",
        what: `${row.chain}: event ${row.event} is stored although every append of it failed`
      })
    }
  }
  if (!options.complete) return found
  const unasked = rows.filter((row) => !appends.has(key(row.chain, row.event)))
  return [
    ...found,
    ...unasked.map(
      (row): Violation => ({ invariant: "I3", what: `${row.chain}: event ${row.event} was never appended` })
    )
  ]
}

/** A change of one counter, in the order in which it was committed. `settle` replaces a hold, so it may go either way. */
export interface Movement {
  readonly counter: string
  readonly act: "hold" | "settle"
  readonly delta: bigint
}

/**
 * I4: no hold takes a counter above its cap, at any moment of the commit order. A settlement above its hold (a provider that
 * exceeds the declared maximum) is no violation of ours, unless `excess` is forbidden; the next hold must be refused then.
 */
export const overspend = (
  movements: ReadonlyArray<Movement>,
  caps: Readonly<Record<string, bigint>>,
  options: { readonly excess: "allowed" | "forbidden" } = { excess: "allowed" }
): ReadonlyArray<Violation> => {
  const sums = new Map<string, bigint>()
  return movements.flatMap(({ act, counter, delta }, i) => {
    const sum = (sums.get(counter) ?? 0n) + delta
    sums.set(counter, sum)
    if (sum < 0n) return [{ invariant: "I4", what: `${counter}: below zero (${sum}) after movement ${i}` }]
    const cap = Object.hasOwn(caps, counter) ? caps[counter]! : null
    const counts = act === "hold" || (options.excess === "forbidden" && delta > 0n)
    return cap !== null && counts && sum > cap
      ? [{ invariant: "I4", what: `${counter}: ${sum} of ${cap} after movement ${i}` }]
      : []
  })
}

/** I4 without the store's own order: what surely was held or charged in the end fits the cap of every agent. */
export const overspendAtEnd = (history: History, caps: Readonly<Record<string, bigint>>): ReadonlyArray<Violation> => {
  const settled = new Map(
    ofKind(history, "settle").flatMap(({ data, outcome }) =>
      outcome === "fail" ? [] : [[data.ticket, { charged: data.charged, sure: outcome === "ok" }]]
    )
  )
  const sums = new Map<string, bigint>()
  const tickets = new Map(
    ofKind(history, "admit").flatMap(({ data, outcome }) =>
      outcome === "ok" && data.verdict === "Admitted" ? [[data.ticket, data]] : []
    )
  )
  for (const [ticket, { agents, held }] of tickets) {
    const end = settled.get(ticket)
    // A lost answer to a settlement: whichever is less surely was charged.
    const amount = end === undefined ? held : end.sure || end.charged < held ? end.charged : held
    for (const agent of agents) sums.set(agent, (sums.get(agent) ?? 0n) + amount)
  }
  return Object.entries(caps).flatMap(([agent, cap]) => {
    const sum = sums.get(agent) ?? 0n
    return sum > cap ? [{ invariant: "I4" as const, what: `${agent}: ${sum} of ${cap} at the end` }] : []
  })
}

/** I5: a grant is used at most once. */
export const doubleGrants = (history: History): ReadonlyArray<Violation> =>
  [...Map.groupBy(ofKind(history, "consume"), ({ data }) => data.grant)].flatMap(([grant, uses]) => {
    const sure = uses.filter(({ outcome }) => outcome === "ok").length
    return sure > 1 ? [{ invariant: "I5" as const, what: `grant ${grant} was used ${sure} times` }] : []
  })

/**
 * I6: nothing is admitted that was asked for later than `ttlNs` after a halt of an agent on its path had returned, unless a
 * resume may have come between. `ttlNs` is 0 for admission, which reads halts fresh.
 */
export const allowedAfterHalt = (history: History, ttlNs: bigint): ReadonlyArray<Violation> => {
  const resumes = ofKind(history, "resume").filter(({ outcome }) => outcome !== "fail")
  const halts = ofKind(history, "halt").filter(({ outcome }) => outcome === "ok")
  return ofKind(history, "admit").flatMap((admit) => {
    if (admit.outcome !== "ok" || admit.data.verdict !== "Admitted") return []
    const broken = halts.find(({ completeNs, data: { agent }, invokeNs }) => {
      if (completeNs === null || !admit.data.agents.includes(agent) || admit.invokeNs <= completeNs + ttlNs)
        return false
      const mayBeLifted = resumes.some(
        (resume) =>
          resume.data.agent === agent &&
          (resume.completeNs === null || resume.completeNs >= invokeNs) &&
          (admit.completeNs === null || resume.invokeNs <= admit.completeNs)
      )
      return !mayBeLifted
    })
    return broken === undefined
      ? []
      : [
          {
            invariant: "I6" as const,
            what: `ticket ${admit.data.ticket} was admitted ${admit.invokeNs - broken.completeNs!} ns after ${broken.data.agent} was halted`
          }
        ]
  })
}

/** I8: the verifier says of every chain what was done to it: nothing more, nothing less. */
export const wrongVerdicts = (
  planted: Readonly<Record<string, string>>,
  said: Readonly<Record<string, string>>
): ReadonlyArray<Violation> =>
  [...new Set([...Object.keys(planted), ...Object.keys(said)])].flatMap((chain) => {
    const expected = Object.hasOwn(planted, chain) ? planted[chain]! : "no such chain"
    const actual = Object.hasOwn(said, chain) ? said[chain]! : "nothing"
    return expected === actual
      ? []
      : [{ invariant: "I8" as const, what: `${chain}: expected ${expected}, the verifier says ${actual}` }]
  })

/**
 * I9: under a fault enforcement answers no, within the deadline where one is given, and observation never throws into the
 * host. Without a fault enforcement may allow, and neither throws.
 */
export const wrongOutcomes = (history: History, deadlineNs: bigint | null = null): ReadonlyArray<Violation> =>
  ofKind(history, "use").flatMap(({ completeNs, data: { answer, fault, kind }, id, invokeNs, process }) => {
    const where = `${process}/${id} (${kind}, ${fault ?? "no fault"})`
    const found: Array<Violation> = []
    if (answer === "threw") found.push({ invariant: "I9", what: `${where} threw into the host` })
    if (kind === "enforcement" && fault !== null && (answer === "allowed" || answer === "returned")) {
      found.push({ invariant: "I9", what: `${where} allowed` })
    }
    if (kind === "observation" && answer === "storeError") found.push({ invariant: "I9", what: `${where} failed` })
    if (kind === "enforcement" && deadlineNs !== null && completeNs !== null && completeNs - invokeNs > deadlineNs) {
      found.push({ invariant: "I9", what: `${where} took ${completeNs - invokeNs} ns` })
    }
    return found
  })
