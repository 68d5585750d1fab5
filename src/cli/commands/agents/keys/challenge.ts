import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { terminalText } from "../../../../schema/TerminalText.ts"
import { AgentKeys } from "../../../../services/AgentKeys.ts"
import { withServices } from "../../../Environment.ts"
import { readPublicKey } from "../../../KeyInput.ts"
import { agent, agentIdOf } from "../../../Names.ts"
import { answer, notice } from "../../../Output.ts"

/** What the owner of a key has to sign, to the last byte: it ends without a newline. */
export const challenge = Command.make("challenge", {
  agent,
  publicKey: Flag.String("public-key").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("The public key, PEM or 64 hex digits; - is standard input")
  )
}).pipe(
  Command.withDescription("Print, as base64, the text that the owner of a key signs to register it."),
  Command.withExamples([
    {
      command: "governance agents keys challenge clerk --public-key clerk.pub | base64 -d > clerk.txt",
      description: "Then: openssl pkeyutl -sign -rawin -inkey clerk.pem -in clerk.txt | base64 > clerk.sig"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const agentId = yield* agentIdOf(input.agent)
      const text = yield* AgentKeys.use((keys) =>
        Effect.flatMap(readPublicKey(input.publicKey), (publicKey) => keys.challenge(agentId, publicKey))
      )
      yield* notice(
        `Sign it with the private key of ${terminalText(agentId)}: decode it into a file, then \`openssl pkeyutl -sign -rawin -inkey <key.pem> -in <file> | base64\`.`
      )
      const base64 = Buffer.from(text, "utf8").toString("base64")
      yield* answer({ agentId, base64 }, () => base64)
    }, withServices)
  )
)
