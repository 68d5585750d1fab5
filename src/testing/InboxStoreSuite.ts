/** The contract of `InboxStore` (PLT-04, PLT-06, FWD-06, P-09, P-11). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import type { WorkflowPlace } from "../schema/Workspace.ts"
import { type GateToForward, InboxStore } from "../services/InboxStore.ts"
import type { WorkspaceStore } from "../services/WorkspaceStore.ts"
import { newWorkflow, newWorkspace } from "./WorkspaceStoreSuite.ts"

const hash = "a".repeat(64)
const gate = ({ workflow, workspace }: WorkflowPlace, changes: Partial<GateToForward> = {}): GateToForward => ({
  workspace,
  workflow,
  request: globalThis.crypto.randomUUID(),
  agent: "clerk",
  kind: "refund",
  actionHash: hash,
  expiresMs: 10_000,
  sdkVersion: "0.1.0",
  receivedMs: 1_000,
  ...changes
})
const granted = (atMs: number, actionHash = hash) =>
  ({ decision: "granted", by: "ann@example.org", atMs, actionHash }) as const

/** Registers the tests. */
export const suite = <E>(name: string, stores: Layer.Layer<InboxStore | WorkspaceStore, E>) =>
  layerTest(stores, { excludeTestServices: true, timeout: "60 seconds" })(`InboxStore (${name})`, (it) => {
    it.effect("keeps a request once, and refuses its id with another content (PLT-04)", () =>
      Effect.gen(function* () {
        const store = yield* InboxStore
        const place = yield* newWorkflow
        const one = gate(place)
        const sent = yield* Effect.forEach(Array.from({ length: 8 }), () => store.forward(one), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(
          sent.filter((answer) => answer !== "Known"),
          ["Stored"]
        )
        assert.strictEqual(yield* store.forward({ ...one, receivedMs: 2_000 }), "Known")
        assert.strictEqual(yield* store.forward({ ...one, actionHash: "b".repeat(64) }), "Differs")
        assert.deepStrictEqual(yield* store.find(place, one.request), { ...one, inbox: null, local: null })
        const nowhere = { ...one, workspace: yield* newWorkspace }
        assert.strictEqual(yield* store.forward(nowhere), "NoWorkflow")
      })
    )

    it.effect("takes one decision of many that come at once, and keeps it (PLT-06)", () =>
      Effect.gen(function* () {
        const store = yield* InboxStore
        const place = yield* newWorkflow
        const one = gate(place)
        yield* store.forward(one)
        const people = Array.from({ length: 8 }, (_, i) => ({ ...granted(2_000), by: `p${i}@example.org` }))
        const made = yield* Effect.forEach(people, (person) => store.decide(place, one.request, person), {
          concurrency: "unbounded"
        })
        assert.strictEqual(made.filter((answer) => answer?.taken === true).length, 1)
        const kept = (yield* store.find(place, one.request))?.inbox
        assert.deepStrictEqual(new Set(made.map((answer) => answer?.gate.inbox?.by)), new Set([kept?.by]))
      })
    )

    it.effect("takes no decision after the end, nor about another action than was shown (FWD-12)", () =>
      Effect.gen(function* () {
        const store = yield* InboxStore
        const place = yield* newWorkflow
        const one = gate(place)
        yield* store.forward(one)
        assert.deepInclude(yield* store.decide(place, one.request, granted(10_000)), { taken: false })
        assert.deepInclude(yield* store.decide(place, one.request, granted(2_000, "b".repeat(64))), { taken: false })
        assert.isNull(yield* store.decide(place, "unknown", granted(2_000)))
        assert.deepStrictEqual(yield* store.find(place, one.request), { ...one, inbox: null, local: null })
      })
    )

    it.effect("keeps what was decided in the customer's database beside what was decided here (FWD-06, FWD-08)", () =>
      Effect.gen(function* () {
        const store = yield* InboxStore
        const place = yield* newWorkflow
        const [one, two] = [gate(place), gate(place)]
        yield* Effect.forEach([one, two], store.forward)
        yield* store.decide(place, one.request, granted(2_000))
        const settled = yield* store.settle(place, one.request, { status: "denied", atMs: 2_500 })
        assert.deepStrictEqual(settled?.local, { status: "denied", atMs: 2_500 })
        assert.strictEqual(settled?.inbox?.decision, "granted")
        const again = yield* store.settle(place, one.request, { status: "granted", atMs: 9_000 })
        assert.deepStrictEqual(again?.local, { status: "denied", atMs: 2_500 })
        yield* store.settle(place, two.request, { status: "granted", atMs: 2_000 })
        assert.deepInclude(yield* store.decide(place, two.request, granted(3_000)), { taken: false })
        assert.isNull(yield* store.settle(place, "unknown", { status: "granted", atMs: 1 }))
      })
    )

    it.effect("lists a workspace's requests, the latest first, and no other's (PLT-06, P-09)", () =>
      Effect.gen(function* () {
        const store = yield* InboxStore
        const place = yield* newWorkflow
        const other = yield* newWorkflow
        const gates = [1, 2, 3, 4].map((n) => gate(place, { receivedMs: n, expiresMs: n === 4 ? 5_000 : 10_000 }))
        yield* Effect.forEach([...gates, gate(other)], store.forward)
        yield* store.settle(place, gates[0]!.request, { status: "granted", atMs: 2 })
        const ids = (open: boolean, limit = 10) =>
          Effect.map(store.list(place.workspace, { open, nowMs: 6_000, limit }), (found) =>
            found.map(({ receivedMs }) => receivedMs)
          )
        assert.deepStrictEqual(yield* ids(false), [4, 3, 2, 1])
        assert.deepStrictEqual(yield* ids(true), [3, 2])
        assert.deepStrictEqual(yield* ids(false, 1), [4])
        const foreign = { workspace: other.workspace, workflow: place.workflow }
        assert.isNull(yield* store.find(foreign, gates[2]!.request))
        assert.isNull(yield* store.decide(foreign, gates[2]!.request, granted(2)))
        assert.isNull(yield* store.settle(foreign, gates[2]!.request, { status: "denied", atMs: 1 }))
      })
    )
  })
