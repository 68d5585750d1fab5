import { fileURLToPath } from "node:url"
import { Effect, Redacted } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { DemoFailed } from "./DemoFailed.ts"
import { DemoDatabase } from "./DemoWorld.ts"

/** Runs a command of this very program in a process of its own, with a connection of its own, as an operator would. */
export const operator = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const { appUrl, auditSecret } = yield* DemoDatabase
  // Secrets go through the environment: an argument could be read by every user of the machine (L-05). Nothing else of ours
  // goes there, so that what the caller has set cannot change the demo.
  const env = { GOVERNANCE_DATABASE_URL: Redacted.value(appUrl), GOVERNANCE_AUDIT_SECRET: Redacted.value(auditSecret) }
  const code = yield* spawner
    .exitCode(
      ChildProcess.make(process.execPath, [main, ...args], {
        env,
        extendEnv: false,
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore"
      })
    )
    .pipe(
      Effect.mapError(() => new DemoFailed({ what: "the operator's process could not be started" })),
      Effect.timeoutOrElse({
        duration: "30 seconds",
        orElse: () => Effect.fail(new DemoFailed({ what: "the operator's process did not end" }))
      })
    )
  if (code !== 0) return yield* new DemoFailed({ what: `\`governance ${args[0] ?? ""}\` ended with exit code ${code}` })
})

/** The program as it runs now: from source, or built. */
const main = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "../main.ts" : "../main.js", import.meta.url))
