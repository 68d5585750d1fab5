import { readFileSync, readlinkSync, realpathSync, rmSync } from "node:fs"
import { join } from "node:path"
import { Effect, Option } from "effect"

/**
 * Waits for a server whose watchdog was killed, and stops it if its guard was killed too. A process id left in the cluster that now
 * belongs to some other program is forgotten. MUST be called by the holder of the data directory's lock, before a start.
 */
export const clearOrphan = Effect.fnUntraced(function* (cluster: string) {
  const pid = yield* Effect.option(
    Effect.try(() => Number.parseInt(readFileSync(join(cluster, "postmaster.pid"), "utf8"), 10))
  )
  if (Option.isNone(pid) || !(pid.value > 1)) return
  for (const round of ROUNDS) {
    if (!owns(pid.value, cluster)) break
    if (round.signal !== undefined) yield* Effect.ignore(Effect.try(() => process.kill(pid.value, round.signal)))
    yield* Effect.sleep(round.wait)
  }
  if (process.platform === "linux" && !owns(pid.value, cluster)) {
    yield* Effect.ignore(Effect.try(() => rmSync(join(cluster, "postmaster.pid"), { force: true })))
  }
})

// Its guard needs a moment; after three seconds we stop it ourselves, fast and then at once.
const ROUNDS: ReadonlyArray<{ readonly signal?: NodeJS.Signals; readonly wait: string & `${number} millis` }> = [
  ...Array.from({ length: 30 }, () => ({ wait: "100 millis" as const })),
  { signal: "SIGINT", wait: "100 millis" },
  ...Array.from({ length: 50 }, () => ({ wait: "100 millis" as const })),
  { signal: "SIGQUIT", wait: "1000 millis" }
]

// A server works inside its cluster's directory; no other process has a reason to.
const owns = (pid: number, cluster: string): boolean =>
  Effect.runSync(
    Effect.orElseSucceed(
      Effect.try(() =>
        process.platform === "linux" ? realpathSync(cluster) === readlinkSync(`/proc/${pid}/cwd`) : process.kill(pid, 0)
      ),
      () => false
    )
  )
