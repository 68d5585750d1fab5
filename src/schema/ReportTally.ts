import { Option } from "effect"
import type { Digest } from "./Chain.ts"
import type { ChainRow } from "./Envelope.ts"
import { parseEnvelope } from "./EnvelopeText.ts"
import type { AgentId } from "./Ids.ts"
import { isoOf } from "./Instant.ts"
import { Frequencies, Listing } from "./Listing.ts"
import { parseUsd } from "./Money.ts"
import { ReportCalls } from "./ReportCalls.ts"
import { findSealed, isSealed } from "./Sealed.ts"
import { shownText } from "./ShownText.ts"
import { localFailure } from "./SignatureStatus.ts"

/** A row as a report speaks of it: every text is safe to show and short. */
export interface ShownRow {
  readonly id: string
  readonly parent: string | null
  readonly at: string
  readonly place: string
  readonly kind: string
  readonly agent: string
  readonly name: string
  readonly result: string
  readonly refused: string
  readonly hasInput: boolean
  readonly hasOutput: boolean
  readonly late: boolean
  /** Who did it and why, as far as the row says. */
  readonly words: string
}

/** What a report wants of the rows that it is shown. */
export interface ReportFilter {
  readonly agentId: string | null
  readonly fromMs: number | null
  readonly toMs: number | null
}

/** `scope`: rows that were asked for. `halts`: an agent's own chain beside a session, for halts alone. `operator`: acts that belong to no agent. */
export type RowRole = "scope" | "halts" | "operator"

const oversightKinds = /^(?:approval\.|gates\.|agent\.(?:halted|restored|killed)$)/
const violationKinds = /^(?:scope\.violation|budget\.exceeded|loop\.detected|model\.unknown|call\.refused|contract\.)/
const referenceKinds = /^(?:policy\.|prompt\.|routing\.)/
const healthKinds = /^(?:audit\.|identity\.|pipeline\.|call\.orphaned$)/
const retentionKinds = /^audit\.(?:segment_sealed|segment_pruned|subject_erased|legal_hold_set|legal_hold_released)$/
const rejectedTokens = "approval.token_rejected"
const haltKinds = /^agent\.(?:halted|restored|killed)$/

/** Reads rows one by one, chain by chain in order of seq, and keeps what a report prints of them: counts, and the first few of each kind. */
export class ReportTally {
  rows = 0
  firstMs = Number.POSITIVE_INFINITY
  lastMs = Number.NEGATIVE_INFINITY
  unreadableRows = 0
  signed = 0
  signingFailed = 0
  delayed = 0
  sealedValues = 0
  unsealableValues = 0
  spentNanoUsd = 0n
  tokens = 0n
  /** How many values each subject's key sealed, by the id of the key. */
  readonly sealedBy = new Map<string, number>()
  readonly agentIds = new Set<AgentId>()
  readonly kinds = new Frequencies(200)
  readonly agents = new Frequencies(200)
  readonly models = new Frequencies(200)
  readonly keyIds = new Frequencies(50)
  readonly calls = new ReportCalls()
  readonly oversight = new Listing<ShownRow>(100)
  readonly oversightKinds = new Frequencies(50)
  /** Apart from the decisions, so that somebody who tries tokens cannot push those off the list. */
  readonly rejectedTokens = new Listing<ShownRow>(100)
  readonly violations = new Listing<ShownRow>(100)
  readonly violationKinds = new Frequencies(50)
  readonly references = new Listing<ShownRow>(100)
  readonly health = new Listing<ShownRow>(100)
  readonly healthKinds = new Frequencies(50)
  readonly retention = new Listing<ShownRow>(100)
  readonly retentionKinds = new Frequencies(20)
  readonly sessions = new Listing<SessionSpan>(100)
  private span: SessionSpan | undefined
  private readonly filter: ReportFilter
  private readonly hash: Digest

  constructor(filter: ReportFilter, hash: Digest) {
    this.filter = filter
    this.hash = hash
  }

  visit(row: ChainRow, role: RowRole): void {
    const seen = this.read(row)
    const inTime =
      (this.filter.fromMs === null || row.atMs >= this.filter.fromMs) &&
      (this.filter.toMs === null || row.atMs <= this.filter.toMs)
    if (retentionKinds.test(row.kind) && role === "operator") {
      this.retention.add(() => seen.shown)
      this.retentionKinds.add(row.kind)
    }
    if (role === "operator" && inTime && this.filter.agentId === null) {
      this.notice(seen.shown)
      // A token that is nobody's names no agent and no session: it stands here alone (GAT-02).
      if (row.kind === rejectedTokens) this.note(seen.shown)
    }
    const own = this.filter.agentId === null || row.agent === this.filter.agentId
    if (role === "halts" && own && inTime && haltKinds.test(row.kind)) this.note(seen.shown)
    if (role !== "scope") return
    const wanted = own && inTime
    this.calls.visit(seen.shown, wanted)
    if (wanted) this.count(row, seen)
  }

  endOfChain(): void {
    this.calls.endOfChain()
    const { span } = this
    if (span !== undefined) this.sessions.add(() => span)
    this.span = undefined
  }

  private count(row: ChainRow, { facts, metadata, shown }: ReadRow): void {
    this.rows++
    this.firstMs = Math.min(this.firstMs, row.atMs)
    this.lastMs = Math.max(this.lastMs, row.atMs)
    this.kinds.add(shown.kind)
    this.agents.add(shown.agent)
    this.agentIds.add(row.agent)
    this.keyIds.add(row.keyId)
    if (facts.model !== null) this.models.add(shownText(facts.model, 128, this.hash))
    if (row.signer === localFailure) this.signingFailed++
    else if (row.signer !== null) this.signed++
    if ("$delayed" in metadata) this.delayed++
    if (!facts.readable) this.unreadableRows++
    if (row.canonical.includes('"$sealed"') || row.canonical.includes('"$unsealable"')) this.sealed(facts.stored)
    if (shown.result !== "") this.spend(metadata)
    if (row.chain.startsWith("session:")) this.extend(row, shown.agent)
    if (referenceKinds.test(row.kind)) this.references.add(() => shown)
    this.note(shown)
    this.notice(shown)
  }

  private note(shown: ShownRow): void {
    if (oversightKinds.test(shown.kind)) {
      const list = shown.kind === rejectedTokens ? this.rejectedTokens : this.oversight
      list.add(() => shown)
      this.oversightKinds.add(shown.kind)
    }
    if (violationKinds.test(shown.kind)) {
      this.violations.add(() => shown)
      this.violationKinds.add(shown.kind)
    }
  }

  private notice(shown: ShownRow): void {
    if (!healthKinds.test(shown.kind)) return
    this.health.add(() => shown)
    this.healthKinds.add(shown.kind)
  }

  private extend(row: ChainRow, agent: string): void {
    const at = isoOrEmpty(row.atMs)
    const { span } = this
    if (span === undefined) {
      const session = shownText(row.chain.slice("session:".length), 128, this.hash)
      this.span = { session, firstAt: at, lastAt: at, firstMs: row.atMs, lastMs: row.atMs, rows: 1, agents: [agent] }
      return
    }
    span.rows++
    span.lastAt = at
    span.lastMs = row.atMs
    if (span.agents.length < 5 && !span.agents.includes(agent)) span.agents.push(agent)
  }

  private sealed(stored: Parameters<typeof findSealed>[0]): void {
    for (const { value } of findSealed(stored)) {
      if (isSealed(value)) {
        this.sealedValues++
        const { key } = value.$sealed
        this.sealedBy.set(key, (this.sealedBy.get(key) ?? 0) + 1)
      } else this.unsealableValues++
    }
  }

  private spend(metadata: Readonly<Record<string, unknown>>): void {
    const usd = Option.getOrUndefined(Option.fromUndefinedOr(textOf(metadata.usd)).pipe(Option.flatMap(usdOf)))
    if (usd !== undefined) this.spentNanoUsd += usd
    const tokens = textOf(metadata.tokens)
    if (tokens !== undefined && /^\d{1,18}$/.test(tokens)) this.tokens += BigInt(tokens)
  }

  private read(row: ChainRow): ReadRow {
    const envelope = Option.getOrUndefined(parseEnvelope(row.canonical))
    const stored = envelope?.metadata ?? null
    const metadata: Readonly<Record<string, unknown>> = isObject(stored) ? stored : {}
    const show = (text: string | undefined, max: number) => (text === undefined ? "" : shownText(text, max, this.hash))
    const by = show(textOf(metadata.by) ?? textOf(metadata.approver), 128)
    const why = show(textOf(metadata.reason) ?? textOf(metadata.problem), 300)
    return {
      metadata,
      facts: { model: envelope?.model ?? null, readable: envelope !== undefined, stored },
      shown: {
        id: row.id,
        parent: row.parent,
        at: isoOrEmpty(row.atMs),
        place: `${shownText(row.chain, 128, this.hash)}#${row.seq}`,
        kind: shownText(row.kind, 128, this.hash),
        agent: shownText(row.agent, 128, this.hash),
        name: show(textOf(metadata.name) ?? textOf(metadata.action), 128),
        result: show(textOf(metadata.result), 32),
        refused: show(textOf(metadata.refused), 64),
        hasInput: envelope?.inputHash != null,
        hasOutput: envelope?.outputHash != null,
        late: metadata.late === true,
        words: [by === "" ? "" : `by ${by}`, why].filter((part) => part !== "").join(": ")
      }
    }
  }
}

/** From the first to the last row of one session. */
export interface SessionSpan {
  readonly session: string
  readonly firstAt: string
  readonly firstMs: number
  lastAt: string
  lastMs: number
  rows: number
  readonly agents: Array<string>
}

interface ReadRow {
  readonly shown: ShownRow
  readonly metadata: Readonly<Record<string, unknown>>
  readonly facts: {
    readonly model: string | null
    readonly readable: boolean
    readonly stored: Parameters<typeof findSealed>[0]
  }
}

const isoOrEmpty = (ms: number) => (Number.isInteger(ms) && Math.abs(ms) <= 8.64e15 ? isoOf(ms) : "")
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)
const usdOf = (text: string) => Option.getSuccess(parseUsd(text))
