import { Effect, Option } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import { signerAt } from "../../../../layers/Identity.ts"
import { terminalText } from "../../../../schema/TerminalText.ts"
import { AgentKeys } from "../../../../services/AgentKeys.ts"
import { UsageError } from "../../../CliFailure.ts"
import { withServices } from "../../../Environment.ts"
import { readProof, readPublicKey } from "../../../KeyInput.ts"
import { agent, agentIdOf } from "../../../Names.ts"
import { by, operator } from "../../../Operator.ts"
import { answer } from "../../../Output.ts"
import { jsonOf } from "./list.ts"

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

/** Registers a public key whose owner proves to have the private one. */
export const add = Command.make("add", {
  agent,
  publicKey: text("public-key", "file", "The public key, PEM or 64 hex digits; - is standard input"),
  proof: text("proof", "file", "The base64 of the signature over the text of `agents keys challenge`"),
  keyUri: text("key-uri", "uri", "Use the private key at file://PATH (made if it is missing) or env://NAME instead"),
  by
}).pipe(
  Command.withDescription("Register the public key that an agent signs its rows with."),
  Command.withExamples([
    {
      command: "governance agents keys add clerk --key-uri file:///etc/governance/clerk.pem",
      description: "Make the key here, readable for you alone"
    },
    {
      command: "governance agents keys add clerk --public-key clerk.pub --proof clerk.sig",
      description: "A key that never leaves its owner; see `agents keys challenge`"
    }
  ]),
  Command.validate(({ keyUri, proof, publicKey }) =>
    Option.isSome(keyUri) !== (Option.isSome(publicKey) && Option.isSome(proof)) &&
    (Option.isNone(keyUri) || (Option.isNone(publicKey) && Option.isNone(proof)))
      ? Effect.void
      : Effect.fail(new CliError.ValidationError({ message: "Give either --key-uri, or --public-key with --proof" }))
  ),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const agentId = yield* agentIdOf(input.agent)
      const name = yield* operator(input.by)
      const registry = yield* AgentKeys
      const done = Option.isSome(input.keyUri)
        ? yield* registry.enrol(yield* lastingSigner(agentId, input.keyUri.value), name)
        : yield* registry.register({
            agentId,
            publicKey: yield* readPublicKey(Option.getOrElse(input.publicKey, () => "")),
            proof: yield* readProof(Option.getOrElse(input.proof, () => "")),
            by: name
          })
      yield* answer({ ...jsonOf(done.key), added: done.added }, () => {
        const which = `key ${done.key.fingerprint} (number ${done.key.activationSeq}) of ${terminalText(agentId)}`
        return done.added ? `Registered ${which}.` : `Nothing changed: ${which} is registered already.`
      })
    }, withServices)
  )
)

const lastingSigner = (agentId: Parameters<typeof signerAt>[0], uri: string) =>
  uri.startsWith("ephemeral")
    ? Effect.fail(
        new UsageError({
          subject: "--key-uri",
          problem: "names a key that would be gone with this command",
          todo: "Use file://PATH or env://NAME."
        })
      )
    : signerAt(agentId, uri)
