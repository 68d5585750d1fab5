import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer, type Redacted } from "effect"
import * as Postgres from "../src/layers/Postgres.ts"
import type { GovernanceOptions } from "../src/services/Settings.ts"

/** All of governance on a benchmark's database, with deadlines that a busy machine cannot reach. */
export const layer = (databaseUrl: Redacted.Redacted, options: GovernanceOptions = {}) =>
  Layer.unwrap(
    Effect.map(spool, (fallbackDir) =>
      Postgres.layer({
        databaseUrl,
        auditSecret,
        fallbackDir,
        auditDeadline: "60 seconds",
        enforcementDeadline: "60 seconds",
        ...options
      })
    )
  )

/** Seals nothing that anybody keeps. */
export const auditSecret = "7c1d6f0a93b54e28bd17c50e94f2a86d3e5b09c47f1a2d8866e0f3b9d15c7a24"

const spool = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-governance-bench-spool-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
