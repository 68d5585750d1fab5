import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as JsonlFallback from "../../src/layers/JsonlFallback.ts"
import * as MemoryKeys from "../../src/layers/memory/SubjectKeyStore.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { AgentId, agentChain } from "../../src/schema/Ids.ts"
import { sealed } from "../../src/schema/Marked.ts"
import { StoreError } from "../../src/schema/StoreError.ts"
import * as Audit from "../../src/services/Audit.ts"
import * as AuditFallback from "../../src/services/AuditFallback.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as Settings from "../../src/services/Settings.ts"
import { SubjectKeyStore } from "../../src/services/SubjectKeyStore.ts"
import * as SubjectKeys from "../../src/services/SubjectKeys.ts"
import { leaks } from "../../src/testing/Canaries.ts"
import { type Line, layerLine } from "../audit/Rig.ts"
import { silentSignal } from "../services/World.ts"

const directory = mkdtempSync(join(tmpdir(), "sealed-spool-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

interface Door {
  state: "up" | "down" | "hanging"
  asked: number
}
const newDoor = (): Door => ({ state: "up", asked: 0 })

/** A real key store that can be cut off, and counts who asks. */
const behind = (door: Door) =>
  Layer.effect(
    SubjectKeyStore,
    Effect.map(SubjectKeyStore, (store) =>
      SubjectKeyStore.of({
        ...store,
        current: (...args) =>
          Effect.suspend(() => {
            door.asked++
            if (door.state === "hanging") return Effect.never
            return door.state === "down"
              ? Effect.fail(new StoreError({ store: "SubjectKeyStore", operation: "current", problem: "unreachable" }))
              : store.current(...args)
          })
      })
    )
  ).pipe(Layer.provideMerge(MemoryKeys.layer))

const keys = (door: Door) =>
  SubjectKeys.layer.pipe(Layer.provideMerge(behind(door)), Layer.provide(silentSignal), Layer.provide(Settings.layer()))

const world = (
  door: Door = newDoor(),
  line: Line = { state: "up", appends: 0 },
  fallback: Layer.Layer<AuditFallback.AuditFallback, unknown, ChainKeys.ChainKeys> = AuditFallback.layerMemory
) =>
  Layer.unwrap(Effect.map(SubjectKeys.SubjectKeys, (subjects) => Audit.layerWith({ subjects }))).pipe(
    Layer.provideMerge(keys(door)),
    Layer.provide(fallback),
    Layer.provideMerge(layerLine(line))
  )

const log = (metadata: unknown, id?: string) =>
  Audit.Audit.use((audit) => audit.log({ kind: "step", agentId: "clerk", metadata, id }))
const rows: Effect.Effect<ReadonlyArray<ChainRow>, StoreError, AuditStore> = AuditStore.use((store) =>
  Stream.runCollect(store.rows(agentChain(AgentId.make("clerk"))))
)
const text = Effect.map(rows, (found) => found.map(({ canonical }) => canonical).join("\n"))

describe("keys of subjects", () => {
  it.effect(
    "are asked for by nobody who marks nothing, once for many values, and again when 5 s are over (BEY-12)",
    () => {
      const door = newDoor()
      return Effect.gen(function* () {
        yield* log({ plain: 1 })
        yield* log({ deep: [{ $odd: "\u0000" }] })
        assert.strictEqual(door.asked, 0)
        yield* log({ a: sealed("ann", 1), b: sealed("bob", 2) })
        yield* log({ a: sealed("ann", 1) })
        assert.strictEqual(door.asked, 1)
        yield* TestClock.adjust("6 seconds")
        yield* log({ a: sealed("ann", 1) })
        assert.strictEqual(door.asked, 2)
      }).pipe(Effect.provide(world(door)))
    }
  )

  for (const state of ["down", "hanging"] as const) {
    it.effect(
      `that cannot be had, the store being ${state}, cost the value, within the deadline, and never its secrecy`,
      () => {
        const door: Door = { state, asked: 0 }
        return Effect.gen(function* () {
          const waiting = yield* Effect.forkChild(log({ who: sealed("ann", "canary-4711"), plain: 1 }))
          for (let i = 0; i < 20; i++) yield* Effect.yieldNow
          yield* TestClock.adjust("1 second")
          yield* Fiber.join(waiting)
          const stored = yield* text
          assert.include(stored, '{"plain":1,"who":{"$unsealable":true}}')
          assert.notInclude(stored, "canary-4711")
          const subjects = yield* SubjectKeys.SubjectKeys
          const hashing = Effect.forkChild(subjects.hashing({ who: sealed("ann", "canary-4711") }))
          const fibers = [yield* hashing, yield* hashing]
          for (let i = 0; i < 20; i++) yield* Effect.yieldNow
          yield* TestClock.adjust("1 second")
          const marks = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
          const [one, two] = marks.map((mark) => JSON.stringify(mark?.(sealed("ann", "canary-4711") as never, "")))
          assert.match(one!, /^\{"\$unsealable":"[0-9a-f]{32}"\}$/)
          assert.notStrictEqual(one, two)
        }).pipe(Effect.provide(world(door)))
      }
    )
  }

  it.effect("make an event that is repeated by its id the same event (A-27)", () =>
    Effect.gen(function* () {
      const id = "0190163d-8694-739b-aea5-966c26f8ad91"
      const first = yield* log({ who: sealed("ann", "x") }, id)
      const again = yield* log({ who: sealed("ann", "x") }, id)
      assert.strictEqual(again.seq, first.seq)
      assert.strictEqual((yield* Effect.flip(log({ who: sealed("ann", "y") }, id)))._tag, "InvalidAuditEvent")
    }).pipe(Effect.provide(world()))
  )

  it.effect("seal what one snapshot saw: a getter that changes its answer gets nothing through (A-14)", () =>
    Effect.gen(function* () {
      let reads = 0
      const metadata = {
        get who() {
          reads++
          return reads % 2 === 1 ? sealed("ann", "canary-4711") : sealed("bob", "canary-4712")
        }
      }
      yield* log(metadata)
      const [row] = yield* rows
      const subjects = yield* SubjectKeys.SubjectKeys
      assert.deepInclude((yield* subjects.open(row!)).tally, { opened: 1, unsealable: 0 })
      assert.notInclude(row!.canonical, "canary")
    }).pipe(Effect.provide(world()))
  )

  it.effect("survive a rotation of the audit secret, and a process without the old one begins new ones (ROT-04)", () =>
    Effect.gen(function* () {
      const store = Context.get(yield* Layer.build(MemoryKeys.layer), SubjectKeyStore)
      const [old, fresh] = ["a1", "b2"].map((seed) => Redacted.make(secretOf(seed)))
      const under = (secret: Redacted.Redacted<string>, historic: ReadonlyArray<Redacted.Redacted<string>> = []) =>
        Effect.map(
          Layer.build(
            SubjectKeys.layer.pipe(
              Layer.provide(Layer.succeed(SubjectKeyStore, store)),
              Layer.provide(ChainKeys.layer({ secret, historic, ephemeralAllowed: false })),
              Layer.provide(silentSignal),
              Layer.provide(Settings.layer())
            )
          ),
          (context) => Context.get(context, SubjectKeys.SubjectKeys)
        )
      const before = yield* under(old!)
      const after = yield* under(fresh!, [old!])
      const stranger = yield* under(fresh!)
      yield* log({ who: sealed("ann", "x") }).pipe(
        Effect.provide(Layer.fresh(Audit.layerWith({ subjects: before })), { local: true })
      )
      const [row] = yield* rows
      assert.deepInclude(yield* after.open(row!), { metadata: { who: "x" } })
      assert.deepInclude((yield* stranger.open(row!)).tally, { opened: 0, unreadable: 1 })
      yield* after.hashing(sealed("ann", 1))
      assert.lengthOf(yield* store.idsOf("ann"), 1)
      yield* stranger.hashing(sealed("ann", 1))
      assert.lengthOf(yield* store.idsOf("ann"), 2)
      assert.deepInclude(yield* after.open(row!), { metadata: { who: "x" } })
    }).pipe(
      Effect.scoped,
      Effect.provide(AuditFallback.layerMemory),
      Effect.provide(layerLine({ state: "up", appends: 0 }))
    )
  )

  it.live(
    "leave the sealed bytes on disk while the database is away, and the same bytes in the log after (BEY-12, A-27)",
    () => {
      const line: Line = { state: "down", appends: 0 }
      return Effect.gen(function* () {
        const spooled = yield* log({ who: sealed("ann-the-subject", "canary-4711") })
        assert.strictEqual(spooled.status, "spooled")
        const files = readdirSync(directory).map((name) => ({ name, bytes: readFileSync(join(directory, name)) }))
        assert.isAbove(files.length, 0)
        assert.deepStrictEqual(leaks(files, { value: "canary-4711", subject: "ann-the-subject" }), [])
        const onDisk = /\\"ct\\":\\"([^\\]+)\\"/.exec(files.map(({ bytes }) => bytes.toString()).join(""))?.[1]
        line.state = "up"
        let found = yield* rows
        while (found.length === 0) {
          yield* Effect.sleep(50)
          found = yield* rows
        }
        assert.include(found[0]!.canonical, `"ct":"${onDisk}"`)
        const subjects = yield* SubjectKeys.SubjectKeys
        assert.deepInclude((yield* subjects.open(found[0]!)).metadata, { who: "canary-4711" })
      }).pipe(
        Effect.provide(
          world(newDoor(), line, JsonlFallback.layerWith({ directory }).pipe(Layer.provide(NodeServices.layer)))
        )
      )
    }
  )
})

/** 32 bytes in hex that look random enough. */
const secretOf = (seed: string) =>
  Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(31))).toString("hex") + seed
