import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Redacted } from "effect"

/** The secret of every worker's log. */
export const auditSecret = "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU"

/** A process of `Worker.ts` on that database. Whoever starts it ends it. */
export const startWorker = (databaseUrl: Redacted.Redacted, args: ReadonlyArray<string>) =>
  fork(program, args, {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: {
      PATH: process.env.PATH,
      NODE_NO_WARNINGS: "1",
      GOVERNANCE_TEST_MODE: "1",
      GOVERNANCE_DATABASE_URL: Redacted.value(databaseUrl),
      GOVERNANCE_AUDIT_SECRET: auditSecret
    }
  })

const program = fileURLToPath(new URL("./Worker.ts", import.meta.url))
