import { createRequire } from "node:module"
import { Context, Effect, Logger } from "effect"
import * as Memory from "../src/layers/Memory.ts"
import { MemoryAudit } from "../src/layers/memory/AuditStore.ts"
import { AgentScope } from "../src/services/AgentScope.ts"
import { governed } from "../src/services/Governor.ts"
import { build } from "./Build.ts"
import { interleaved, median, ratios } from "./Rounds.ts"
import { type Row, type Size, us } from "./Row.ts"

/** What is used of the peer; its package is CommonJS. */
interface Peer {
  readonly executeWithGovernance: (action: string, params: object) => Promise<{ readonly decision: string }>
  readonly audit: {
    readonly length: number
    readonly log: (entry: { agentId: string; action: string; decision: string }) => unknown
  }
}
interface PeerPackage {
  readonly AgentMeshClient: {
    readonly create: (
      name: string,
      options: { policyRules: ReadonlyArray<object>; audit?: { maxEntries: number } }
    ) => Peer
  }
}
// The edge of a foreign package: its own types are CommonJS and describe more than is used here.
const { AgentMeshClient } = createRequire(import.meta.url)("@microsoft/agent-governance-sdk") as PeerPackage

const newPeer = (maxEntries?: number) =>
  AgentMeshClient.create("bench", {
    policyRules: [{ action: "search", effect: "allow" }],
    ...(maxEntries === undefined ? {} : { audit: { maxEntries } })
  })

/** Attempt and outcome, as a governed call keeps two records. */
const peerCalls = async (peer: Peer, calls: number) => {
  for (let n = 0; n < calls; n++) {
    await peer.executeWithGovernance("search", {})
    peer.audit.log({ agentId: "bench", action: "search", decision: "allow" })
  }
}

/** A new log for each round: ours holds 100 000 rows and refuses more. */
const ourCalls = (calls: number) =>
  Effect.gen(function* () {
    const services = yield* build(Memory.layer())
    yield* Context.get(services, AgentScope).register({ agentId: "bench", allowedTools: ["search"] })
    const call = Effect.void.pipe(governed({ agentId: "bench", sessionId: "p6", tool: "search" }))
    const loop = Effect.gen(function* () {
      for (let n = 0; n < calls; n++) yield* call
    }).pipe(Effect.provide(services))
    const start = performance.now()
    yield* loop
    const took = performance.now() - start
    const { size } = yield* Context.get(services, MemoryAudit).stats
    if (size !== 2 * calls) return yield* Effect.die(new Error(`${size} records of ${calls} calls`))
    return took / calls
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))

const theirCalls = (calls: number, maxEntries?: number) =>
  Effect.promise(async () => {
    const peer = newPeer(maxEntries)
    // Their log at its cap is measured as it is found in a process that runs for long: full.
    if (maxEntries === undefined) await peerCalls(peer, 5_000)
    const start = performance.now()
    await peerCalls(peer, calls)
    const took = performance.now() - start
    if (peer.audit.length !== (maxEntries === undefined ? 10_000 : 2 * calls))
      throw new Error("the peer kept another number")
    return took / calls
  })

/** A governed call that does nothing, on memory stores, against the peer's. */
export const run = Effect.fnUntraced(function* (size: Size) {
  const calls = size.quick ? 2_000 : 20_000
  const fewer = size.quick ? 200 : 2_000
  const costs = yield* interleaved(size.rounds, {
    ours: ourCalls(calls),
    theirs: theirCalls(calls, 10_000_000),
    theirDefault: theirCalls(fewer)
  })
  const row = (other: "theirs" | "theirDefault", against: string): Row => ({
    id: "P6",
    what: "A governed no-op on memory stores, two records each call",
    against,
    goal: { below: 1 },
    measured: ratios(costs.ours, costs[other]),
    unit: "x",
    figures: `${us(median(costs.ours))} against ${us(median(costs[other]))}`
  })
  return [
    row(
      "theirs",
      "`executeWithGovernance` and one `audit.log` of `@microsoft/agent-governance-sdk`, its log far from its cap; all records kept on both sides"
    ),
    row(
      "theirDefault",
      "the same in its default configuration, its log full (10 000 entries, then every record copies the log)"
    )
  ]
})
