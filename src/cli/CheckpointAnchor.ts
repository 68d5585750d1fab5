import { Effect, FileSystem, Option, Stream } from "effect"
import { Flag } from "effect/cli"
import * as FileCheckpointSink from "../layers/FileCheckpointSink.ts"
import type { ChainReport } from "../schema/ChainReport.ts"
import type { Adoption } from "../schema/CheckpointEntry.ts"
import { CheckpointContradicted, OtherIdentity, RolledBack } from "../schema/CheckpointError.ts"
import type { CheckpointReport } from "../schema/CheckpointVerdict.ts"
import { parseVerifierKey } from "../schema/SignedNote.ts"
import { terminalText } from "../schema/TerminalText.ts"
import { sha256 } from "../services/CheckpointKey.ts"
import { Checkpoints } from "../services/Checkpoints.ts"
import { counted, Unverifiable, UsageError } from "./CliFailure.ts"

/** The flags of `verify` that bring checkpoints and their key from elsewhere. */
export const checkpointFlags = {
  checkpoints: Flag.String("checkpoints").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Also compare with this file of checkpoints, kept elsewhere"),
    Flag.optional
  ),
  checkpointKey: Flag.String("checkpoint-key").pipe(
    Flag.withMetavar("name+hash+base64"),
    Flag.withDescription("The public key that signed them, as `governance checkpoint key` prints it"),
    Flag.optional
  )
}

interface Given {
  readonly checkpoints: Option.Option<string>
  readonly checkpointKey: Option.Option<string>
}

/** Compares with every checkpoint at hand; of one chain only what concerns it. What was seen is remembered. */
export const examined = Effect.fnUntraced(function* (given: Given, chain: string | undefined) {
  const checkpoints = yield* Checkpoints
  const key = Option.isNone(given.checkpointKey)
    ? undefined
    : yield* Effect.mapError(
        Effect.fromResult(parseVerifierKey(given.checkpointKey.value, sha256)),
        ({ problem }) =>
          new UsageError({
            subject: "--checkpoint-key",
            problem: `cannot be used: ${problem}`,
            todo: "`governance checkpoint key` prints it."
          })
      )
  const sinks = Option.isNone(given.checkpoints) ? [] : [yield* existing(given.checkpoints.value)]
  const report = yield* checkpoints.examine({ sinks, key })
  if (report.verdict === "ok") yield* checkpoints.remember(key)
  return chain === undefined
    ? report
    : { ...report, findings: report.findings.filter((found) => found.chain === undefined || found.chain === chain) }
})

const existing = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  if (!(yield* Effect.orElseSucceed(files.exists(path), () => false))) {
    return yield* new UsageError({
      subject: "--checkpoints",
      problem: "names a file that cannot be read",
      todo: "Give the path of a file that `governance checkpoint` or a program has written."
    })
  }
  const sink = yield* FileCheckpointSink.make(path)
  const first = yield* Effect.orElseSucceed(
    Stream.runHead(Stream.filter(sink.read, ({ _tag }) => _tag !== "Unreadable")),
    () => Option.none()
  )
  if (Option.isNone(first)) {
    return yield* new UsageError({
      subject: "--checkpoints",
      problem: "names a file without a single checkpoint in it",
      todo: "Give the path of a file that `governance checkpoint` or a program has written."
    })
  }
  return sink
})

/** What checkpoints say about the log, in lines. */
export const anchorText = (report: CheckpointReport): string =>
  [
    ...report.findings.map(({ message, verdict }) => `${titles[verdict]}: ${terminalText(message)}`),
    ...report.waiting.map(
      (sink) => `${terminalText(sink)} has no checkpoint yet: the next program that signs makes it`
    ),
    ...report.adoptions.map(adoptionText),
    report.anchoredTo > 0
      ? `anchored to checkpoint ${report.anchoredTo} of ${report.origin}: covers ${counted(report.coveredRows, "row")} in ${counted(report.coveredChains, "chain")}, pruned rows included`
      : "anchored to checkpoint: no"
  ].join("\n")

export const adoptionText = ({ at, by, lost, reason, size }: Adoption): string => {
  const chains = lost.slice(0, 5).map(({ after, chain }) => `${terminalText(chain, 120)} after row ${after}`)
  const more = lost.length > 5 ? ` and ${counted(lost.length - 5, "more chain")}` : ""
  return `adopted at checkpoint ${size} on ${terminalText(at)} by ${terminalText(by)}: ${terminalText(reason)} (lost: ${chains.length === 0 ? "nothing" : chains.join(", ")}${more})`
}

const titles: Record<CheckpointReport["findings"][number]["verdict"], string> = {
  otherIdentity: "OTHER IDENTITY",
  rollback: "ROLLED BACK",
  forked: "FORKED",
  missing: "DELETED",
  shorter: "CUT",
  rewritten: "REWRITTEN",
  badSignature: "BAD SIGNATURE",
  sinkBroken: "DAMAGED",
  unverifiable: "NOT VERIFIED",
  noCheckpoints: "not anchored"
}

/** Fails when this is not the log, or not as much of it, that was known before: exit 3. */
export const ofThisLog = Effect.fnUntraced(function* ({ findings }: CheckpointReport) {
  const find = (...verdicts: ReadonlyArray<string>) => findings.find(({ verdict }) => verdicts.includes(verdict))
  const other = find("otherIdentity")
  if (other !== undefined) return yield* new OtherIdentity({ finding: other.message })
  const back = find("rollback", "forked")
  if (back !== undefined) return yield* new RolledBack({ finding: back.message })
})

/** Fails when a checkpoint speaks against the rows, exit 1, or cannot be believed, exit 4. */
export const borneOut = Effect.fnUntraced(function* ({ findings }: CheckpointReport) {
  const against = findings.filter(({ verdict }) => contradictions.has(verdict))
  const [first] = against
  if (first !== undefined) {
    return yield* new CheckpointContradicted({ finding: first.message, findings: against.length })
  }
  const missing = findings.find(({ verdict }) => verdict === "unverifiable")
  if (missing !== undefined) {
    return yield* new Unverifiable({
      what: missing.message,
      todo: "Give --checkpoint-key with the public key, and the file of checkpoints with --checkpoints."
    })
  }
})

/** The whole verdict in a word, of the chains and of their checkpoints; it stands first and goes with the exit code. */
export const headline = (chains: ChainReport, { findings }: CheckpointReport): string => {
  const against = (...verdicts: ReadonlyArray<string>) => findings.some(({ verdict }) => verdicts.includes(verdict))
  if (against("otherIdentity")) return titles.otherIdentity
  if (against("rollback", "forked")) return titles.rollback
  if (chains.verdict === "tampered" || findings.some(({ verdict }) => contradictions.has(verdict))) return "TAMPERED"
  const judged = chains.verdict === "ok" && (chains.authenticated || chains.rows === 0) && !against("unverifiable")
  return judged ? "ok" : titles.unverifiable
}

const contradictions: ReadonlySet<string> = new Set(["missing", "shorter", "rewritten", "badSignature", "sinkBroken"])
