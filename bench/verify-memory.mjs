// Verifies a log once with the compiled package and tells the memory that took. No TypeScript: taking types away is work of Node's
// that would be counted.
import { tmpdir } from "node:os"
import { Effect, Logger, Redacted } from "effect"
import { Audit } from "effect-governance"
import * as Postgres from "effect-governance/postgres"

const mib = (bytes) => bytes / 2 ** 20

process.once("message", ({ auditSecret, url }) => {
  const startRssMiB = mib(process.memoryUsage.rss())
  const verified = Audit.Audit.use((audit) => audit.verifyChain()).pipe(
    Effect.provide(Postgres.layer({ databaseUrl: Redacted.make(url), auditSecret, fallbackDir: tmpdir() })),
    Effect.provide(Logger.layer([]))
  )
  Effect.runPromise(verified).then(
    () => {
      const maxRssMiB = mib(process.resourceUsage().maxRSS * 1024)
      process.send({ startRssMiB, maxRssMiB }, () => process.disconnect())
    },
    (error) => {
      console.error(error)
      process.exit(1)
    }
  )
})
