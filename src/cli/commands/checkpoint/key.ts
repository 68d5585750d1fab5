import { Effect } from "effect"
import { Command } from "effect/cli"
import { ConfigurationError } from "../../../schema/ConfigurationError.ts"
import { formatVerifierKey } from "../../../schema/SignedNote.ts"
import { sha256 } from "../../../services/CheckpointKey.ts"
import { Checkpoints } from "../../../services/Checkpoints.ts"
import { withReader } from "../../Environment.ts"
import { answer } from "../../Output.ts"

/** The public key as a verifier key, `name+hash+base64`: what a stranger needs to check checkpoints. */
export const key = Command.make("key").pipe(
  Command.withDescription("Print the public key that checks the checkpoints of this log."),
  Command.withExamples([
    { command: "governance checkpoint key > checkpoint.vkey", description: "Give it to whoever shall verify" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* () {
      const own = yield* Checkpoints.use((checkpoints) => checkpoints.key)
      if (own === null) {
        return yield* new ConfigurationError({
          setting: "GOVERNANCE_CHECKPOINT_KEY",
          problem: "is not set; make a key with `openssl genpkey -algorithm ed25519` and give file://PATH or env://NAME"
        })
      }
      const text = formatVerifierKey(own, sha256)
      yield* answer({ key: text }, () => text)
    }, withReader)
  )
)
