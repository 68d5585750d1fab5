import { Effect, Option, Redacted } from "effect"
import { Command, Flag } from "effect/cli"
import { fp16 } from "../../schema/RotationMarker.ts"
import { terminalText } from "../../schema/TerminalText.ts"
import { KeyRotation, type Rotated } from "../../services/KeyRotation.ts"
import { UsageError } from "../CliFailure.ts"
import { withRotation } from "../Environment.ts"
import { by, operator } from "../Operator.ts"
import { answer, notice } from "../Output.ts"
import { learn, Secrets } from "../Redaction.ts"
import { RotationPlace } from "../RotationPlace.ts"
import { givenSecret, writeSecret } from "../SecretInput.ts"

/** Replaces the secret that seals the log, while everything runs. Old rows stay verifiable (ROT-01, ROT-06). */
export const rotateChainKey = Command.make("rotate-chain-key", {
  newSecret: Flag.String("new-secret").pipe(
    Flag.withMetavar("source"),
    Flag.withDescription("The new secret: env:NAME, file:PATH or - (standard input); never the secret itself"),
    Flag.optional
  ),
  writeSecretTo: Flag.String("write-secret-to").pipe(
    Flag.withMetavar("path"),
    Flag.withDescription("Make a new secret and write it into this new file, readable by you alone"),
    Flag.optional
  ),
  noHandOver: Flag.Boolean("no-hand-over").pipe(
    Flag.withDescription("Do not let holders of the old secret learn the new one: after the old one leaked"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  reason: Flag.String("reason").pipe(
    Flag.withMetavar("text"),
    Flag.withDescription("Why, for the audit log"),
    Flag.optional
  ),
  by
}).pipe(
  Command.withDescription(
    "Replace the secret that seals the audit log, while everything runs. Old rows stay verifiable."
  ),
  Command.withExamples([
    { command: "governance rotate-chain-key", description: "The embedded database: makes a secret and keeps it" },
    {
      command: "governance rotate-chain-key --write-secret-to new-secret",
      description: "A database of your own: the new secret goes into a file, then into your secret store"
    },
    {
      command: 'governance rotate-chain-key --new-secret env:NEW --no-hand-over --reason "old one leaked"',
      description: "After a leak: programs need the new secret and a restart"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const place = yield* RotationPlace
      if (place.kept !== null && (yield* place.kept.finish)) {
        return yield* answer(
          { finished: true },
          () => "Finished the rotation that was cut off before. No other was made."
        )
      }
      const name = yield* operator(input.by)
      const secret = yield* secretOf(input)
      const rotation = yield* KeyRotation
      const rotated = yield* rotation
        .rotate({ secret, handOver: !input.noHandOver, by: name, reason: Option.getOrNull(input.reason) })
        .pipe(Effect.catchTag("StoreError", (error) => Effect.fail(error.problem === "refused" ? notAllowed : error)))
      if (place.kept !== null) yield* place.kept.promote(secret)
      yield* answer(
        {
          version: rotated.version,
          from: rotated.from,
          to: rotated.to,
          handedOver: rotated.handedOver,
          marker: { chain: "operator", seq: rotated.seq }
        },
        () => told(rotated, place.kept !== null, Option.getOrUndefined(input.writeSecretTo))
      )
    }, withRotation)
  )
)

const notAllowed = new UsageError({
  subject: "The database connection",
  problem: "may not rotate keys, or the schema is of an older version",
  todo: "Use the owner's connection, the one that `governance migrate` is run with."
})

interface Sources {
  readonly newSecret: Option.Option<string>
  readonly writeSecretTo: Option.Option<string>
}

const secretOf = Effect.fnUntraced(function* ({ newSecret, writeSecretTo }: Sources) {
  const place = yield* RotationPlace
  const secrets = yield* Secrets
  const subject = "--new-secret and --write-secret-to"
  if (place.kept !== null) {
    if (Option.isSome(newSecret) || Option.isSome(writeSecretTo)) {
      return yield* new UsageError({
        subject,
        problem: "do not apply: the embedded database makes its secret and keeps it beside its data",
        todo: "Leave them out."
      })
    }
    const made = yield* place.makeSecret
    learn(secrets, Redacted.value(made))
    yield* place.kept.keep(made)
    return made
  }
  if (Option.isSome(newSecret) === Option.isSome(writeSecretTo)) {
    return yield* new UsageError({
      subject,
      problem: Option.isSome(newSecret) ? "exclude each other" : "are both missing",
      todo: "Give the new secret with one, or have it made and written to a file with the other."
    })
  }
  if (Option.isSome(newSecret)) return yield* givenSecret(newSecret.value)
  const made = yield* place.makeSecret
  learn(secrets, Redacted.value(made))
  // Before the rotation: once that is committed, losing the secret would be losing the log.
  if (Option.isSome(writeSecretTo)) yield* writeSecret(writeSecretTo.value, made)
  yield* notice("The new secret is written. It counts from the rotation on.")
  return made
})

const told = (rotated: Rotated, kept: boolean, file: string | undefined): string =>
  [
    `Rotated: key ${fp16(rotated.to)} (version ${rotated.version}) seals the log now; ${fp16(rotated.from)} is out of use. Marker: operator, row ${rotated.seq}.`,
    rotated.handedOver
      ? "Running programs switch by themselves, within seconds; none needs a restart."
      : "Programs that know only the old secret go on with it and warn. Give them the new one and restart them, soon.",
    kept
      ? "The new secret lies beside the data, and the old one too: a program that starts finds both."
      : `Next: set GOVERNANCE_AUDIT_SECRET to the new secret${file === undefined ? "" : ` (in ${terminalText(file)})`} and GOVERNANCE_CHAIN_KEY_${fp16(rotated.from).toUpperCase()} to the old one, which old rows are verified with.`
  ].join("\n")
