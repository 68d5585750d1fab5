import { execFileSync, fork } from "node:child_process"
import { join } from "node:path"
import { Context, Effect, Redacted } from "effect"
import { AgentKeyStore } from "../src/services/AgentKeyStore.ts"
import { Audit } from "../src/services/Audit.ts"
import { BenchServer } from "./BenchServer.ts"
import { build } from "./Build.ts"
import { fill } from "./Fill.ts"
import * as GovernedDatabase from "./GovernedDatabase.ts"
import { median, ratios, spread } from "./Rounds.ts"
import { number, perSecond, type Row, type Size } from "./Row.ts"
import type { VerifyFindings, VerifyRequest } from "./VerifyProcess.ts"

/** Verification of a whole log, in a process of its own so that its memory can be told. */
export const run = Effect.fnUntraced(function* (size: Size) {
  const rows = size.full ? 1_000_000 : size.quick ? 10_000 : 200_000
  const server = yield* BenchServer
  const { appUrl } = yield* server.database("p5")
  yield* Effect.scoped(
    Effect.flatMap(build(GovernedDatabase.layer(appUrl)), (services) => fill(Context.get(services, Audit), rows, 500))
  )
  yield* server.checkpoint
  const rounds = size.full ? Math.min(size.rounds, 5) : size.rounds
  const url = Redacted.value(appUrl)
  const found = yield* asked<VerifyFindings>("VerifyProcess.ts", { url, rounds, signed: false } satisfies VerifyRequest)
  execFileSync(process.execPath, [join(import.meta.dirname, "../scripts/build.ts")])
  const memory = yield* Effect.forEach(Array.from({ length: rounds }), () =>
    asked<MemoryFindings>("verify-memory.mjs", { auditSecret: GovernedDatabase.auditSecret, url })
  )
  if (found.rows !== rows) return yield* Effect.die(new Error(`${found.rows} rows were verified, not ${rows}`))
  return [
    {
      id: "P5",
      what: `Verification of ${number(rows)} rows in 500 chains: every column, hash, link and HMAC`,
      against:
        "`node:crypto`'s SHA-256 and HMAC-SHA-256 over the same texts in memory, on one core of the same process",
      goal: { atLeast: 0.5 },
      measured: ratios(found.bare, found.verifying),
      unit: "x",
      figures: `${perSecond(median(found.verifying))} rows against ${perSecond(median(found.bare))}`
    },
    {
      id: "P5",
      what: `Resident memory of a process that verifies ${number(rows)} rows with the compiled package, at its highest`,
      against: "nothing: the operating system's figure, Node itself included",
      goal: { below: 256 },
      measured: spread(memory.map(({ maxRssMiB }) => maxRssMiB)),
      unit: " MiB",
      figures: `${number(median(memory.map(({ startRssMiB }) => startRssMiB)))} MiB before the first row`
    },
    yield* signed(size)
  ] satisfies ReadonlyArray<Row>
}, Effect.scoped)

/** The same with a signature on every row, which is where the time goes. */
const signed = Effect.fnUntraced(function* (size: Size) {
  const rows = size.quick ? 4_000 : 40_000
  const server = yield* BenchServer
  const { appUrl } = yield* server.database("p5signed")
  yield* Effect.scoped(
    Effect.gen(function* () {
      const services = yield* build(GovernedDatabase.layer(appUrl, { signingKeys: "ephemeral" }))
      yield* fill(Context.get(services, Audit), rows, 100)
      // Each of the twenty agents has made a key; the last of them may still be on its way to the registry.
      const store = Context.get(services, AgentKeyStore)
      while ((yield* store.list).length < 20) yield* Effect.sleep(10)
    })
  )
  yield* server.checkpoint
  const found = yield* asked<VerifyFindings>("VerifyProcess.ts", {
    url: Redacted.value(appUrl),
    rounds: size.rounds,
    signed: true
  } satisfies VerifyRequest)
  return {
    id: "P5",
    what: `Verification of ${number(found.rows)} signed rows in 100 chains: the same, and every Ed25519 signature`,
    against: "node:crypto's Ed25519 verification of the same texts in memory, one after the other in the same process",
    goal: { atLeast: 0.8 },
    measured: ratios(found.bare, found.verifying),
    unit: "x",
    figures: `${perSecond(median(found.verifying))} rows against ${perSecond(median(found.bare))}`
  } satisfies Row
})

interface MemoryFindings {
  readonly startRssMiB: number
  readonly maxRssMiB: number
}

/** What a process of its own found: `program` is a file of this directory. */
const asked = <Findings>(program: string, request: object) =>
  Effect.promise(
    () =>
      new Promise<Findings>((resolve, reject) => {
        // The address goes by the channel: arguments and environments can be read by others.
        const child = fork(join(import.meta.dirname, program), { serialization: "advanced" })
        child.once("message", (found: Findings) => resolve(found))
        child.once("error", reject)
        child.once("exit", (code) => reject(new Error(`${program} ended with ${code}`)))
        child.send(request)
      })
  )
