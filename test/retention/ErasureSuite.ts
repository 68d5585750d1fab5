import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { AgentId, EventId, operatorChain, SessionId, sessionChain } from "../../src/schema/Ids.ts"
import { sealed } from "../../src/schema/Marked.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { Erasure } from "../../src/services/Erasure.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Governor } from "../../src/services/Governor.ts"
import { LegalHolds } from "../../src/services/LegalHolds.ts"
import { SubjectKeyStore } from "../../src/services/SubjectKeyStore.ts"
import { SubjectKeys } from "../../src/services/SubjectKeys.ts"
import { leaks } from "../../src/testing/Canaries.ts"

type Needs = Audit | AuditStore | Erasure | Gates | Governor | LegalHolds | SubjectKeys | SubjectKeyStore

/** Sealing and erasing through the whole of governance; `dump` gives everything that the stores hold, as bytes by table. */
export const suite = <E, R>(
  name: string,
  stores: Layer.Layer<Needs | R, E>,
  dump: Effect.Effect<ReadonlyArray<{ readonly name: string; readonly bytes: Uint8Array }>, unknown, Needs | R>
) =>
  layer(stores, { excludeTestServices: true, timeout: "60 seconds" })(`Erasure (${name})`, (it) => {
    it.effect("gives a marked value back to a reader while its key exists, and to nobody after (A-30)", () =>
      Effect.gen(function* () {
        const { audit, erasure, keys, log, session, subject, value } = yield* world
        const { id } = yield* log({ who: sealed(subject, { name: value, $odd: "\u0000" }), plain: 1 })
        const row = yield* rowOf(id)
        assert.deepStrictEqual(yield* keys.open(row), {
          metadata: { plain: 1, who: { name: value, $odd: "\u0000" } },
          tally: { opened: 1, erased: 0, unreadable: 0, unsealable: 0 }
        })
        const erased = yield* erasure.erase(subject, { by: "ann", reason: "asked for it" })
        assert.strictEqual(erased.keys, 1)
        const after = yield* keys.open(row)
        assert.deepInclude(after.tally, { opened: 0, erased: 1 })
        assert.notInclude(JSON.stringify(after.metadata), value)
        assert.isTrue(yield* audit.verifyChain())
        assert.strictEqual((yield* audit.report({ chain: sessionChain(session) })).verdict, "ok")
      })
    )

    it.effect("records an erasure in chain operator without the subject's name, and twice if asked twice (A-30)", () =>
      Effect.gen(function* () {
        const { audit, erasure, log, subject } = yield* world
        yield* log({ who: sealed(subject, "x") })
        const first = yield* erasure.erase(subject, { by: "ann" })
        const second = yield* erasure.erase(subject, { by: "ann" })
        assert.deepStrictEqual([first.keys, second.keys], [1, 0])
        const rows = (yield* audit.getEvents({ chain: operatorChain, kinds: ["audit.subject_erased"] })).filter(
          ({ metadata }) => JSON.stringify(metadata).includes(first.reference)
        )
        assert.lengthOf(rows, 2)
        assert.notInclude(JSON.stringify(rows), subject)
      })
    )

    it.effect("a later value of an erased subject gets a new key and can be read, the old one not (A-30)", () =>
      Effect.gen(function* () {
        const { erasure, keys, log, subject } = yield* world
        const before = yield* log({ who: sealed(subject, "before") })
        yield* erasure.erase(subject, { by: "ann" })
        yield* forgotten(subject)
        const after = yield* log({ who: sealed(subject, "after") })
        assert.deepInclude((yield* keys.open(yield* rowOf(before.id))).tally, { erased: 1 })
        assert.deepInclude(yield* keys.open(yield* rowOf(after.id)), { metadata: { who: "after" } })
        const rows = [yield* rowOf(before.id), yield* rowOf(after.id)]
        assert.deepStrictEqual(yield* keys.tally(rows), { opened: 1, erased: 1, unreadable: 0, unsealable: 0 })
      })
    )

    it.effect(
      "a guess at a marked input cannot be confirmed from its hash, and equal inputs have equal hashes (A-30)",
      () =>
        Effect.gen(function* () {
          const { agent, audit, session, subject } = yield* world
          const call = (input: unknown) =>
            Governor.use((governor) =>
              governor.run({ agentId: agent, sessionId: session, api: "pay", input }, () => Effect.succeed("done"))
            )
          yield* call({ card: sealed(subject, "4711"), amount: 1 })
          yield* call({ card: sealed(subject, "4711"), amount: 1 })
          yield* call({ card: sealed(subject, "4712"), amount: 1 })
          yield* call({ card: sealed(`${subject}-other`, "4711"), amount: 1 })
          yield* call({ card: "4711", amount: 1 })
          const calls = (yield* audit.traceSessionChain(session)).filter(({ kind }) => kind === "api.call")
          const hashes = calls.map(({ inputHash }) => inputHash)
          assert.lengthOf(hashes, 5)
          assert.strictEqual(hashes[0], hashes[1])
          assert.strictEqual(new Set(hashes).size, 4)
          assert.isTrue(hashes.every((hash) => hash !== null))
        })
    )

    it.effect(
      "a marked value reaches no table, log or message in plain, and no subject but the key table's (BEY-12)",
      () =>
        Effect.gen(function* () {
          const { agent, audit, erasure, log, session, subject, value } = yield* world
          yield* log({ deep: [{ who: sealed(subject, value) }] })
          yield* Effect.ignore(log({ who: sealed(subject, { value, wrong: 1n }) }))
          yield* Governor.use((governor) =>
            governor.run(
              {
                agentId: agent,
                sessionId: session,
                tool: "read",
                input: { who: sealed(subject, value) },
                metadata: { who: sealed(subject, value) }
              },
              () => Effect.succeed({ answer: sealed(subject, value) })
            )
          )
          yield* audit.track("job", agent, { sessionId: session, input: sealed(subject, value) })(
            Effect.succeed(sealed(subject, value))
          )
          const marked = { who: sealed(subject, value), amount: 5 }
          const gates = yield* Gates
          const { requestId } = yield* gates.request("mail", agent, marked, { sessionId: session })
          const waits = { agentId: agent, sessionId: session, approval: { required: true, wait: false } }
          const pending = Governor.use((governor) =>
            governor.run({ ...waits, tool: "send", input: marked }, () => Effect.void)
          )
          assert.strictEqual((yield* Effect.flip(pending))._tag, "ApprovalPending")
          const kinds = (yield* audit.traceSessionChain(session)).map(({ kind }) => kind)
          const payload = Effect.gen(function* () {
            const cards = yield* gates.list({ agentId: agent })
            assert.lengthOf(cards, 2)
            const gate = cards.find((one) => one.gate.requestId === requestId)!.gate
            return yield* SubjectKeys.use((keys) =>
              keys.openStored(EventId.make(gate.requestId), JSON.parse(gate.payload ?? "null"))
            )
          })
          assert.deepInclude(yield* payload, { metadata: { who: value, amount: 5 } })
          assert.includeMembers(kinds, [
            "approval.requested",
            "step",
            "tool.call",
            "tool.result",
            "job.start",
            "job.end"
          ])
          const captures = yield* dump
          assert.includeMembers(
            captures.map(({ name }) => name),
            ["governance_gates", "governance_tickets"]
          )
          assert.deepStrictEqual(leaks(captures, { value }), [])
          const elsewhere = captures.filter((one) => one.name !== "governance_subject_keys")
          assert.deepStrictEqual(leaks(elsewhere, { subject }), [])
          yield* erasure.erase(subject, { by: "ann" })
          assert.deepStrictEqual(leaks(yield* dump, { value, subject }), [])
          const { metadata, tally } = yield* payload
          assert.notInclude(JSON.stringify(metadata), value)
          assert.deepInclude(tally, { opened: 0, erased: 1 })
        })
    )

    it.effect("a legal hold on a subject, or where its values are, forbids to erase it (A-30)", () =>
      Effect.gen(function* () {
        const { agent, erasure, log, session, subject } = yield* world
        const holds = yield* LegalHolds
        yield* log({ who: sealed(subject, "x") })
        const names = { subject, chain: sessionChain(session), agent, session }
        for (const scope of ["subject", "chain", "agent", "session"] as const) {
          const order = { scope, name: names[scope], by: "ann", reason: "case 4711" }
          yield* holds.set(order)
          assert.deepStrictEqual(
            (yield* erasure.plan(subject)).holds.map((hold) => hold.scope),
            [scope]
          )
          const refused = yield* Effect.flip(erasure.erase(subject, { by: "ann" }))
          assert.strictEqual(refused._tag, "RetentionRefused")
          assert.notInclude(refused.message, subject)
          yield* holds.release(order)
        }
        assert.strictEqual((yield* erasure.erase(subject, { by: "ann" })).keys, 1)
      })
    )

    it.effect("refuses a subject, a person or a reason that is none, and changes nothing", () =>
      Effect.gen(function* () {
        const { erasure, log, subject } = yield* world
        yield* log({ who: sealed(subject, "x") })
        const bad: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }, LegalHolds>> = [
          erasure.erase("", { by: "ann" }),
          erasure.erase("x".repeat(257), { by: "ann" }),
          erasure.erase(subject, { by: "\u0000" }),
          erasure.erase(subject, { by: "ann", reason: "r".repeat(1001) }),
          LegalHolds.use((holds) => holds.set({ scope: "chain", name: "nothing:x", by: "ann", reason: "r" })),
          LegalHolds.use((holds) => holds.set({ scope: "agent", name: "a", by: "ann", reason: "" }))
        ]
        for (const each of bad) assert.strictEqual((yield* Effect.flip(each))._tag, "InvalidInput")
        assert.deepStrictEqual(yield* erasure.plan(subject), { keys: 1, holds: [] })
      })
    )
  })

/** The key that a process holds is dropped by the signal of the erasure; it may take a moment to come. */
const forgotten = (subject: string) =>
  Effect.gen(function* () {
    const keys = yield* SubjectKeys
    const store = yield* SubjectKeyStore
    const input = sealed(subject, "probe")
    for (;;) {
      yield* keys.hashing(input)
      if ((yield* store.idsOf(subject)).length > 0) return
      yield* Effect.sleep(10)
    }
  })

const rowOf = (id: string): Effect.Effect<ChainRow, unknown, AuditStore> =>
  AuditStore.use((store) => Effect.map(store.byId(EventId.make(id)), ([row]) => row!))

const world = Effect.gen(function* () {
  const run = globalThis.crypto.randomUUID()
  const agent = AgentId.make(`agent-${run}`)
  const session = SessionId.make(`session-${run}`)
  const audit = yield* Audit
  return {
    agent,
    session,
    subject: `subject-of-${run}`,
    value: `value-of-${run}`,
    audit,
    erasure: yield* Erasure,
    keys: yield* SubjectKeys,
    log: (metadata: unknown) => audit.require({ kind: "step", agentId: agent, sessionId: session, metadata })
  }
})
