import type { Adoption } from "./CheckpointEntry.ts"
import type { LogProblem } from "./CheckpointWalk.ts"

/** What one log of checkpoints, in the database or outside of it, was found to be. */
export interface LogFacts {
  /** `database`, the name of a sink, or `remembered`. */
  readonly where: string
  /** False for a sink that does not exist (any more). */
  readonly present: boolean
  /** It does not exist, and nobody here knows that it ever did: the next checkpoint makes it. */
  readonly waiting?: boolean
  readonly size: number
  readonly signedSize: number
  readonly origin: string | null
  readonly otherKey: boolean
  readonly problem: { readonly kind: LogProblem; readonly size: number } | null
  /** Whether the database has each of its sizes with the same root, as far as the database goes; null when it has none of them. */
  readonly agrees: boolean | null
}

/** A leaf that the audit log does not bear out. */
export interface Disagreement {
  readonly chain: string
  readonly seq: number
  /** The size of the first checkpoint that covers the leaf. */
  readonly checkpoint: number
  readonly kind: "rewritten" | "shorter" | "missing"
  /** The last row that the chain has today; 0 for none. */
  readonly lastSeq: number
}

export interface CheckpointFacts {
  /** What this deployment's log is called. */
  readonly origin: string
  /** Whether a key to judge signatures with was at hand. */
  readonly keyKnown: boolean
  readonly database: LogFacts
  readonly others: ReadonlyArray<LogFacts>
  readonly disagreements: ReadonlyArray<Disagreement>
  readonly adoptions: ReadonlyArray<Adoption>
  readonly coveredChains: number
  readonly coveredRows: number
}

export type CheckpointVerdictName =
  | "ok"
  | "noCheckpoints"
  | "unverifiable"
  | "shorter"
  | "missing"
  | "rewritten"
  | "forked"
  | "badSignature"
  | "sinkBroken"
  | "rollback"
  | "otherIdentity"

export interface CheckpointFinding {
  readonly verdict: Exclude<CheckpointVerdictName, "ok">
  readonly where: string
  readonly message: string
  readonly chain?: string
  readonly seq?: number
  readonly checkpoint?: number
}

export interface CheckpointReport {
  readonly verdict: CheckpointVerdictName
  readonly origin: string
  /** The latest signed checkpoint that the log was compared with; 0 when there is none. */
  readonly anchoredTo: number
  readonly coveredChains: number
  readonly coveredRows: number
  readonly findings: ReadonlyArray<CheckpointFinding>
  /** Sinks that were not given anything yet, as far as is known here. */
  readonly waiting: ReadonlyArray<string>
  readonly adoptions: ReadonlyArray<Adoption>
}

/** Compares what is known, and names every contradiction; the verdict is the gravest of them. */
export const verdictOf = (facts: CheckpointFacts): CheckpointReport => {
  const all = [facts.database, ...facts.others]
  const findings: ReadonlyArray<CheckpointFinding> = [
    ...all.flatMap((log) => identity(log, facts.origin)),
    ...facts.others.flatMap((log) => rollback(log, facts.database, facts.origin)),
    ...all.flatMap(soundness),
    ...facts.disagreements.map(disagreement),
    ...unproved(facts)
  ]
  const anchor = Math.max(0, ...all.filter(isTrusted(facts.origin)).map(({ signedSize }) => signedSize))
  return {
    verdict: order.find((verdict) => findings.some((found) => found.verdict === verdict)) ?? "ok",
    origin: facts.origin,
    anchoredTo: facts.keyKnown ? anchor : 0,
    coveredChains: facts.coveredChains,
    coveredRows: facts.coveredRows,
    findings,
    waiting: facts.others.filter(({ waiting }) => waiting === true).map(({ where }) => where),
    adoptions: facts.adoptions
  }
}

/** A log whose leaves may be held against the database. */
export const isTrusted =
  (origin: string) =>
  (log: LogFacts): boolean =>
    log.present && log.where !== "remembered" && !log.otherKey && log.origin === origin

/** Gravest first. */
const order: ReadonlyArray<CheckpointVerdictName> = [
  "otherIdentity",
  "rollback",
  "forked",
  "missing",
  "shorter",
  "rewritten",
  "badSignature",
  "sinkBroken",
  "unverifiable",
  "noCheckpoints"
]

const identity = (log: LogFacts, origin: string): ReadonlyArray<CheckpointFinding> =>
  log.origin !== null && log.origin !== origin
    ? [
        {
          verdict: "otherIdentity",
          where: log.where,
          message: `${log.where} belongs to ${log.origin}, this database is ${origin}`
        }
      ]
    : log.otherKey
      ? [
          {
            verdict: "otherIdentity",
            where: log.where,
            message: `${log.where} was signed with another checkpoint key than the one that is known here`
          }
        ]
      : []

const rollback = (log: LogFacts, database: LogFacts, origin: string): ReadonlyArray<CheckpointFinding> => {
  // Of a log that is damaged nobody knows how far it went.
  if (!log.present || log.origin !== origin || database.problem !== null) return []
  if (log.agrees === false) {
    return [
      {
        verdict: "forked",
        where: log.where,
        checkpoint: Math.min(log.size, database.size),
        message: `${log.where} and the database part ways at or before checkpoint ${Math.min(log.size, database.size)}: two histories were signed, or one was replaced`
      }
    ]
  }
  return log.size > database.size
    ? [
        {
          verdict: "rollback",
          where: log.where,
          checkpoint: log.size,
          message: `the database is older than ${log.where}: it ends at checkpoint ${database.size}, that at checkpoint ${log.size}`
        }
      ]
    : []
}

const soundness = (log: LogFacts): ReadonlyArray<CheckpointFinding> => {
  if (log.problem === null) return []
  const { kind, size } = log.problem
  return [
    {
      verdict: kind === "badSignature" ? kind : log.where === "database" ? "rewritten" : "sinkBroken",
      where: log.where,
      checkpoint: size,
      message: `${log.where}, checkpoint ${size}: ${problems[kind]}`
    }
  ]
}

const problems: Record<LogProblem, string> = {
  unreadable: "a line cannot be read: the file was edited or cut",
  gap: "a checkpoint before it is missing",
  root: "the leaves are not those that were signed",
  badSignature: "the signature is wrong"
}

const disagreement = ({ chain, checkpoint, kind, lastSeq, seq }: Disagreement): CheckpointFinding => ({
  verdict: kind,
  where: "database",
  chain,
  seq,
  checkpoint,
  message: {
    missing: `${chain} was deleted: checkpoint ${checkpoint} saw ${seq} rows of it`,
    shorter: `${chain} is shorter than checkpoint ${checkpoint}: that saw row ${seq}, the chain ends at row ${lastSeq}`,
    rewritten: `${chain}, row ${seq}: not the row that checkpoint ${checkpoint} saw, it was rewritten since`
  }[kind]
})

const unproved = (facts: CheckpointFacts): ReadonlyArray<CheckpointFinding> => {
  const gone = facts.others.filter(
    ({ present, waiting, where }) => !present && waiting !== true && where !== "remembered"
  )
  const everSigned = [facts.database, ...facts.others].some(({ signedSize }) => signedSize > 0)
  const missing: ReadonlyArray<CheckpointFinding> = !everSigned
    ? []
    : gone.map(({ where }) => ({
        verdict: "unverifiable",
        where,
        message: `${where} does not exist any more, or cannot be read`
      }))
  const logs = [facts.database, ...facts.others.filter(({ present, where }) => present && where !== "remembered")]
  // What nobody signed vouches for nothing: whoever may take signatures away may write the leaves anew.
  if (logs.every(({ signedSize }) => signedSize === 0)) {
    return [
      ...missing,
      {
        verdict: "noCheckpoints",
        where: "database",
        message:
          "there are no signed checkpoints: rows deleted from the end of a chain, whole chains deleted and a restored backup are undetectable without one"
      }
    ]
  }
  return facts.keyKnown
    ? missing
    : [
        ...missing,
        {
          verdict: "unverifiable",
          where: "database",
          message: "the public checkpoint key is not known here, so nobody can tell who signed the checkpoints"
        }
      ]
}
