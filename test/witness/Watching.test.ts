import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Option, Result } from "effect"
import { Hex } from "effect/encoding"
import { Database } from "../../src/layers/postgres/Database.ts"
import * as TenantAsk from "../../src/layers/postgres/TenantAsk.ts"
import { leafHashOf, originOf, parseCheckpoint } from "../../src/schema/Checkpoint.ts"
import { parseAdoption } from "../../src/schema/CheckpointEntry.ts"
import { appendLeaves, emptyFrontier, rootOfFrontier } from "../../src/schema/Merkle.ts"
import { signWitnessAdoption } from "../../src/schema/WitnessAdoption.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { ChainKeys } from "../../src/services/ChainKeys.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import type { CheckpointWitness } from "../../src/services/CheckpointSink.ts"
import { CheckpointStore } from "../../src/services/CheckpointStore.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import { leaks } from "../../src/testing/Canaries.ts"
import { dump, examined, inProcess, key, make, newKey, reseal, restore, rows, tamper } from "../checkpoints/World.ts"
import { platform, send, tenant } from "../platform/Serving.ts"
import { capture } from "../services/World.ts"
import { freshDatabase } from "../support/database.ts"
import { openSink, portOf, statusOf } from "./World.ts"

const inFresh = Effect.provide(freshDatabase, { local: true })
const latest = inProcess()(Effect.flatMap(CheckpointStore, (store) => store.latest))
const deployment = inProcess()(Effect.flatMap(CheckpointStore, (store) => store.deploymentId))
const adopt = (input: { readonly by: string; readonly reason: string }) =>
  Effect.flatMap(Checkpoints, (checkpoints) => checkpoints.adopt(input))

/** A deployment on a database of its own, and a workflow of the platform that watches over it. */
const world = Effect.gen(function* () {
  const place = yield* tenant()
  const port = yield* portOf
  const id = yield* deployment
  const sink = (token = place.token, signing = key, at = port) =>
    Effect.orDie(openSink(at, token, Effect.succeed(id), signing))
  return { place, port, id, sink }
})

/** Counts what it is given in one go. */
const counting = (sink: CheckpointWitness, counts: Array<number>): CheckpointWitness => ({
  ...sink,
  append: (entries) =>
    Effect.andThen(
      Effect.sync(() => counts.push(entries.length)),
      sink.append(entries)
    )
})

layer(platform, { excludeTestServices: true, timeout: "120 seconds" })("A log and its witness", (it) => {
  it.effect("every checkpoint is shown, also one that a crash kept back after it was signed (BEY-04)", () =>
    Effect.gen(function* () {
      const { place, sink } = yield* world
      yield* inProcess({ sinks: [yield* sink()] })(Effect.andThen(rows("s", 3), make))
      assert.strictEqual((yield* statusOf(place)).logs[0]?.size, 1)
      // Signed and not handed over: a process that died in between.
      yield* inProcess()(Effect.andThen(rows("s", 2), make))
      yield* inProcess()(Effect.andThen(rows("t", 2), make))
      const witness = yield* sink()
      assert.strictEqual((yield* witness.head)?.size, 1)
      yield* inProcess({ sinks: [witness] })(make)
      const status = yield* statusOf(place)
      assert.deepStrictEqual([status.logs[0]?.size, status.alarms], [3, []])
      assert.strictEqual(status.logs[0]?.note, (yield* latest)?.notes[0])
      const report = yield* inProcess({ sinks: [witness] })(examined)
      assert.strictEqual(report.verdict, "ok", JSON.stringify(report.findings))
    }).pipe(inFresh)
  )

  it.effect("that is down for 100 checkpoints keeps nobody from signing, and catches up in few requests (INV-1)", () =>
    Effect.gen(function* () {
      const { place, sink } = yield* world
      yield* inProcess({ sinks: [yield* sink()] })(Effect.andThen(rows("s", 1), make))
      const lines = capture()
      const down = yield* sink(place.token, key, 1)
      yield* inProcess({ sinks: [down] })(
        Effect.forEach(Array.from({ length: 100 }), () => Effect.andThen(rows("s", 1), make), { discard: true })
      ).pipe(Effect.provide(lines.layer))
      assert.strictEqual((yield* latest)?.size, 101)
      const said = lines.lines.filter(({ message }) => message.includes("does not answer"))
      assert.lengthOf(said, 1)
      const counts: Array<number> = []
      yield* inProcess({ sinks: [counting(yield* sink(), counts)] })(make)
      assert.deepStrictEqual(counts, [50, 50])
      assert.strictEqual((yield* statusOf(place)).logs[0]?.size, 101)
    }).pipe(inFresh)
  )

  it.effect("whose own database went back is given again what it lost, without an alarm (P-13)", () =>
    Effect.gen(function* () {
      const { place, sink } = yield* world
      const { prefix } = yield* Database
      const ask = yield* TenantAsk.make("test")
      const at = [place.workspace, place.workflow] as const
      const there = "WHERE workspace = $1 AND workflow = $2"
      yield* inProcess({ sinks: [yield* sink()] })(Effect.andThen(rows("s", 1), make))
      const table = `${prefix}governance_witnessed`
      const [kept] = yield* ask("look", `SELECT size, root, frontier, note FROM ${table} ${there}`, at)
      yield* inProcess({ sinks: [yield* sink()] })(
        Effect.forEach([1, 2, 3], () => Effect.andThen(rows("s", 1), make), { discard: true })
      )
      assert.strictEqual((yield* statusOf(place)).logs[0]?.size, 4)
      yield* ask("set back", `UPDATE ${table} SET size = $3, root = $4, frontier = $5, note = $6 ${there}`, [
        ...at,
        ...(kept ?? [])
      ])
      // The first checkpoint came with peaks and no leaves: no chain was known then.
      yield* ask("forget", `DELETE FROM ${prefix}governance_witnessed_chains ${there}`, at)
      yield* inProcess({ sinks: [yield* sink()] })(make)
      const status = yield* statusOf(place)
      assert.deepStrictEqual([status.logs[0]?.size, status.alarms], [4, []])
    }).pipe(inFresh)
  )

  it.effect(
    "that is ahead of a restored dump stops signing and is told; only an adoption with the key of the log lets it go on (A-06, P-04)",
    () =>
      Effect.gen(function* () {
        const { id, place, sink } = yield* world
        const here = <A, E, R>(self: Effect.Effect<A, E, R>) =>
          Effect.flatMap(sink(), (witness) => inProcess({ sinks: [witness] })(self))
        yield* here(Effect.andThen(rows("s", 12), make))
        yield* dump
        yield* here(Effect.andThen(Effect.andThen(rows("s", 20), rows("new", 5)), make))
        const held = (yield* statusOf(place)).logs[0]!
        assert.strictEqual(held.size, 3)
        yield* restore

        const refused = yield* here(Effect.andThen(rows("s", 1), Effect.flip(make)))
        assert.strictEqual(refused._tag, "RolledBack")
        assert.match(refused.message, /ends at checkpoint 1, witness 127\.0\.0\.1:\d+ at checkpoint 3/)
        assert.strictEqual((yield* here(examined)).verdict, "rollback")
        assert.strictEqual((yield* latest)?.size, 1)
        const alarmed = yield* statusOf(place)
        assert.deepStrictEqual(
          alarmed.alarms.map(({ answered_by, problem }) => [problem, answered_by]),
          [["rolled_back", null]]
        )
        const standing = yield* here(Effect.flatMap(Checkpoints, ({ standings }) => standings))
        assert.deepInclude(standing[0], { isWitness: true, size: 3, alarm: "rolled_back", error: null })

        // Somebody without the key of the log.
        const from = { size: 3, root: Hex.encode(bodyOf(held.note).root) }
        const facts = { origin: originOf(id), by: "mallory", reason: "believe me", at: "2026-01-01T00:00:00.000Z" }
        const first = (yield* latest)!
        const forged = (signing: typeof key, at = from) =>
          Result.getOrThrow(
            signWitnessAdoption(
              { ...facts, from: at, size: first.size, root: first.root },
              { name: facts.origin, ...signing },
              sha256
            )
          )
        const told = (statement: string, token = place.token) =>
          send("POST", "/api/v1/witness/adoptions", {
            token,
            body: { statement, checkpoint: first.notes[0], peaks: first.peaks.map((peak) => Hex.encode(peak)) }
          })
        const stranger = yield* told(forged(newKey()))
        assert.deepStrictEqual([stranger.status, stranger.body], [422, { error: "refused", problem: "other_key" }])
        const edited = yield* told(forged(key).replace("mallory", "ada"))
        assert.deepInclude(edited.body as object, { problem: "bad_signature" })
        const elsewhere = yield* told(forged(key), (yield* tenant()).token)
        assert.strictEqual(elsewhere.status, 404)
        const stale = yield* told(forged(key, { ...from, size: 2 }))
        assert.deepStrictEqual([stale.status, stale.body], [409, { error: "stale_size", size: 3 }])
        assert.strictEqual((yield* statusOf(place)).logs[0]?.size, 3)

        const reason = "backup of Friday, key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
        const { adoption } = yield* Effect.flatMap(sink(), (witness) =>
          inProcess({ sinks: [witness], owner: true })(adopt({ by: "ada", reason }))
        )
        assert.deepStrictEqual(adoption.witnessed, [from])
        const after = yield* statusOf(place)
        assert.deepInclude(after.adoptions[0], { by: "ada", from_size: 3, size: 1, kept_note: held.note })
        assert.match(after.adoptions[0]?.reason ?? "", /^backup of Friday, key \[redacted\]/)
        const rolled = after.alarms.find(({ problem }) => problem === "rolled_back")
        assert.strictEqual(rolled?.answered_by, after.adoptions[0]?.adoption_id)
        assert.isTrue(
          after.alarms.filter(({ problem }) => problem !== "rolled_back").every((one) => one.answered_by === null)
        )
        const now = (yield* latest)!
        assert.strictEqual(after.logs[0]?.size, now.size)
        assert.isAbove(now.size, 1)

        // Signing goes on, the chain that went back included; and the old statement is good for nothing any more.
        yield* here(Effect.andThen(rows("s", 2), make))
        assert.strictEqual((yield* statusOf(place)).logs[0]?.size, (yield* latest)?.size)
        const [note] = yield* inProcess()(Effect.flatMap(CheckpointStore, (store) => store.adoptions))
        assert.isTrue(Option.isSome(parseAdoption(note ?? "")))
        assert.strictEqual((yield* told(forged(key))).status, 409)
        const clean = yield* here(examined)
        assert.strictEqual(clean.verdict, "ok", JSON.stringify(clean.findings))
        yield* restore
        const again = yield* here(Effect.flip(make))
        assert.strictEqual(again._tag, "RolledBack")
      }).pipe(inFresh)
  )

  it.effect("learns of an adoption that was signed while it was down (A-06)", () =>
    Effect.gen(function* () {
      const { place, sink } = yield* world
      yield* inProcess({ sinks: [yield* sink()] })(Effect.andThen(rows("s", 3), make))
      yield* dump
      yield* inProcess({ sinks: [yield* sink()] })(Effect.andThen(rows("s", 3), make))
      yield* restore
      const witness = yield* sink()
      const mute: CheckpointWitness = { ...witness, answer: () => Effect.die("killed before it was told") }
      const died = yield* Effect.exit(
        inProcess({ sinks: [mute], owner: true })(adopt({ by: "ada", reason: "disk died" }))
      )
      assert.isTrue(Exit.isFailure(died))
      assert.isEmpty((yield* statusOf(place)).adoptions)
      const report = yield* inProcess({ sinks: [witness] })(examined)
      assert.strictEqual(report.verdict, "ok", JSON.stringify(report.findings))
      yield* inProcess({ sinks: [witness] })(make)
      const status = yield* statusOf(place)
      assert.lengthOf(status.adoptions, 1)
      assert.strictEqual(status.logs[0]?.size, (yield* latest)?.size)
    }).pipe(inFresh)
  )

  it.effect(
    "a history written anew with the stolen audit secret, checkpoints included, is not signed over (K-08, A-20)",
    () =>
      Effect.gen(function* () {
        const { place, sink } = yield* world
        yield* inProcess({ sinks: [yield* sink()] })(Effect.andThen(rows("s", 12), make))
        const held = (yield* statusOf(place)).logs[0]!
        yield* inProcess()(
          Effect.gen(function* () {
            const { current } = yield* ChainKeys
            const audit = yield* AuditStore
            yield* reseal(audit, "s", 1, current)
          })
        )
        // Whoever has every right on the server makes the checkpoint tables fit, and takes the note away that he cannot sign.
        const { hash } = yield* inProcess()(
          Effect.map(
            Effect.flatMap(CheckpointStore, (store) => store.rowsAt([{ chain: "session:s", seq: 12 }])),
            ([row]) => ({ hash: row?.hash ?? new Uint8Array(32) })
          )
        )
        const frontier = appendLeaves(
          emptyFrontier,
          [leafHashOf({ chain: "session:s", seq: 12, hash }, sha256)],
          sha256
        )
        const hex = (bytes: Uint8Array) => `'\\x${Hex.encode(bytes)}'`
        yield* tamper(
          `UPDATE governance_checkpoint_leaves SET hash = ${hex(hash)}`,
          `UPDATE governance_checkpoints SET root = ${hex(rootOfFrontier(frontier, sha256))}, peaks = ${hex(frontier.peaks[0]!)}`,
          "TRUNCATE governance_checkpoint_notes"
        )
        const refused = yield* inProcess({ sinks: [yield* sink()] })(Effect.flip(make))
        assert.strictEqual(refused._tag, "RolledBack")
        assert.match(refused.message, /its checkpoint 1 is not the one in witness/)
        assert.strictEqual((yield* inProcess({ sinks: [yield* sink()] })(examined)).verdict, "forked")
        // Without the witness the same database is signed as if nothing were.
        yield* inProcess()(make)
        const fork = yield* inProcess({ sinks: [yield* sink()] })(Effect.flip(make))
        assert.strictEqual(fork._tag, "RolledBack")
        const status = yield* statusOf(place)
        assert.deepStrictEqual(
          status.alarms.map(({ problem }) => problem),
          ["forked"]
        )
        assert.strictEqual(status.logs[0]?.note, held.note)
      }).pipe(inFresh)
  )

  it.effect(
    "what it refuses is named once, and a token that is unknown or another workflow's shows nothing (P-03, P-09)",
    () =>
      Effect.gen(function* () {
        const { place, sink } = yield* world
        yield* inProcess({ sinks: [yield* sink()] })(Effect.andThen(rows("s", 1), make))
        const other = yield* tenant()
        const elsewhere = yield* sink(other.token)
        assert.isNull(yield* elsewhere.head)
        const lines = capture()
        const unknown = yield* sink("wf_0123456789abcdefghijklmnop")
        yield* inProcess({ sinks: [unknown] })(
          Effect.andThen(Effect.andThen(rows("s", 1), make), Effect.andThen(rows("s", 1), make))
        ).pipe(Effect.provide(lines.layer))
        assert.strictEqual((yield* latest)?.size, 3)
        assert.lengthOf(
          lines.lines.filter(({ message }) => message.includes("does not know our token")),
          1
        )
        const error = yield* Effect.flip(unknown.head)
        const seen = [...lines.lines.map(({ message }) => message), error.message, error.recoveryHint, String(error)]
        const said = new TextEncoder().encode(`${seen.join("\n")}${JSON.stringify(error)}${JSON.stringify(unknown)}`)
        const canaries = { token: "wf_0123456789abcdefghijklmnop", own: place.token }
        assert.deepStrictEqual(leaks([{ name: "log", bytes: said }], canaries), [])
        assert.isNotEmpty(leaks([{ name: "log", bytes: said }], { control: "does not know our token" }))
        assert.strictEqual((yield* statusOf(place)).logs[0]?.size, 1)
      }).pipe(inFresh)
  )

  it.effect("a wiped database under another id is another identity to it, by our own signature alone (A-05)", () =>
    Effect.gen(function* () {
      const { place, port, sink } = yield* world
      yield* inProcess({ sinks: [yield* sink()] })(Effect.andThen(rows("s", 1), make))
      const wiped = yield* Effect.orDie(openSink(port, place.token, Effect.succeed(globalThis.crypto.randomUUID())))
      assert.strictEqual((yield* wiped.head)?.size, 1)
      const stranger = yield* Effect.orDie(
        openSink(port, place.token, Effect.succeed(globalThis.crypto.randomUUID()), newKey())
      )
      assert.isNull(yield* stranger.head)
    }).pipe(inFresh)
  )
})

const bodyOf = (note: string) => Result.getOrThrow(parseCheckpoint(note)).body
