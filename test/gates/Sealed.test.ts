import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { EventId } from "../../src/schema/Ids.ts"
import { sealed } from "../../src/schema/Marked.ts"
import { Contracts } from "../../src/services/Contracts.ts"
import { Erasure } from "../../src/services/Erasure.ts"
import { Gates, requireApproval } from "../../src/services/Gates.ts"
import { governed } from "../../src/services/Governor.ts"
import { SubjectKeys } from "../../src/services/SubjectKeys.ts"
import { agentId, card, cards, clerk, ended, grant, pay, started, world } from "./Gates.ts"

const iban = "DE89 3704 0044"
const marked = (value: unknown = iban) => ({ to: sealed("eva", value), usd: "5" })
const noWait = { approval: { wait: false } }
const counter = () => {
  const seen: Array<unknown> = []
  return { seen, run: (value: unknown = "ran") => Effect.sync(() => void seen.push(value)) }
}
const opened = Effect.gen(function* () {
  const { gate } = yield* card
  const keys = yield* SubjectKeys
  return yield* keys.openStored(EventId.make(gate.requestId), JSON.parse(gate.payload ?? "null"))
})

describe("A call with marked arguments that needs approval (BEY-12, BEY-02)", () => {
  it.effect("waits, is kept sealed, is opened for whoever may see it, and runs once when it is granted", () =>
    Effect.gen(function* () {
      yield* clerk()
      const { run, seen } = counter()
      const fiber = yield* started(run().pipe(governed(pay(marked()))))
      const { gate } = yield* card
      assert.match(gate.payload ?? "", /^\{"to":\{"\$sealed":\{[^{}]*\}\},"usd":"5"\}$/)
      assert.deepStrictEqual(yield* opened, {
        metadata: { to: iban, usd: "5" },
        tally: { opened: 1, erased: 0, unreadable: 0, unsealable: 0 }
      })
      yield* grant()
      assert.isTrue(Exit.isSuccess(yield* ended(fiber)))
      assert.strictEqual(seen.length, 1)
      assert.strictEqual((yield* Effect.flip(run().pipe(governed(pay(marked(), noWait)))))._tag, "ApprovalPending")
      assert.strictEqual(seen.length, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("is the same request with the same value, and another with another value or without the mark", () =>
    Effect.gen(function* () {
      yield* clerk()
      const ask = (input: unknown) => Effect.flip(Effect.void.pipe(governed(pay(input, noWait))))
      yield* ask(marked())
      yield* ask(marked())
      assert.strictEqual((yield* cards).length, 1)
      yield* ask(marked("DE89 0000"))
      yield* ask({ to: iban, usd: "5" })
      assert.strictEqual((yield* cards).length, 3)
    }).pipe(Effect.provide(world()))
  )

  it.effect("does not run when the marked value was changed while it waited (T-06)", () =>
    Effect.gen(function* () {
      yield* clerk()
      const { run, seen } = counter()
      const input = marked()
      const fiber = yield* started(run().pipe(governed(pay(input))))
      input.to = sealed("eva", "mallory's")
      yield* grant()
      assert.isTrue(Exit.isFailure(yield* ended(fiber)))
      assert.strictEqual(seen.length, 0)
    }).pipe(Effect.provide(world()))
  )

  it.effect("leaves nothing to read once its subject is erased, granted or not (A-30)", () =>
    Effect.gen(function* () {
      yield* clerk()
      yield* Effect.flip(Effect.void.pipe(governed(pay(marked(), noWait))))
      yield* (yield* Erasure).erase("eva", { by: "ann" })
      const { metadata, tally } = yield* opened
      assert.deepInclude(tally, { opened: 0, erased: 1 })
      assert.notInclude(JSON.stringify(metadata), iban)
      assert.strictEqual((yield* grant()).state, "granted")
    }).pipe(Effect.provide(world()))
  )

  it.effect("gives `requireApproval`'s function the values themselves", () =>
    Effect.gen(function* () {
      yield* clerk()
      const { run, seen } = counter()
      const tool = { agentId, sessionId: "s1", tool: "wire" }
      const odd = { $sealed: "mine", who: sealed("eva", { $iban: iban }) }
      const fiber = yield* started(requireApproval(tool)((value) => run(value))(odd))
      assert.notInclude((yield* card).gate.payload ?? "", iban)
      yield* grant()
      yield* ended(fiber)
      assert.deepStrictEqual(seen, [{ $sealed: "mine", who: { $iban: iban } }])
    }).pipe(Effect.provide(world()))
  )

  it.effect("is known to a contract's direct check by its own approval alone (DEC-09)", () =>
    Effect.gen(function* () {
      yield* clerk()
      const contracts = yield* Contracts
      yield* contracts.register({ agentId, tool: "pay", pre: [{ check: "hitl_approved", message: "must hold" }] })
      const check = (input: unknown) => Effect.exit(contracts.checkPre({ agentId, tool: "pay", input }))
      const { token } = yield* (yield* Gates).request("pay", agentId, marked())
      assert.isTrue(Exit.isFailure(yield* check(marked())))
      yield* (yield* Gates).grant(token, { by: "rita" })
      assert.isTrue(Exit.isSuccess(yield* check(marked())))
      assert.isTrue(Exit.isFailure(yield* check(marked("DE89 0000"))))
    }).pipe(Effect.provide(world()))
  )
})
