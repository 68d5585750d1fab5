import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import * as Postgres from "../../src/layers/Postgres.ts"
import { Gates } from "../../src/services/Gates.ts"
import { governed } from "../../src/services/Governor.ts"
import { copyOf, freshDatabase, TestDatabase } from "../support/database.ts"
import { cards, clerk, pay } from "./Gates.ts"

const auditSecret = "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU"

/** A process of its own on a database; null leaves the name to the database's id. */
const on =
  ({ appUrl }: TestDatabase["Service"], deployment: string | null) =>
  <A, E>(self: Effect.Effect<A, E, Layer.Success<ReturnType<typeof Postgres.layer>>>) =>
    Effect.provide(
      self,
      Layer.fresh(
        Postgres.layer({
          ...{ databaseUrl: appUrl, auditSecret, testMode: true, warnOnNoWrappers: false },
          ...{ enforcementDeadline: "20 seconds", deployment: deployment ?? undefined }
        })
      ),
      { local: true }
    )
const call = (usd: string) => Effect.succeed("ran").pipe(governed(pay({ usd }, { approval: { wait: false } })))
const grant = (token: string) => Effect.exit(Effect.flatMap(Gates, (gates) => gates.grant(token, { by: "rita" })))
const problemOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(exit) ? "none" : Object(exit.cause.reasons.find((one) => one._tag === "Fail")?.error).problem
const tokenOf = (usd: string) =>
  Effect.map(cards, (all) => all.find(({ gate }) => gate.payload?.includes(`"${usd}"`))?.token ?? "")

/** A database with a request for 5 that waits and one for 6 that is granted, as `deployment` has left it. */
const staged = (database: TestDatabase["Service"], deployment: string | null) =>
  on(
    database,
    deployment
  )(
    Effect.gen(function* () {
      yield* clerk()
      yield* Effect.flip(call("5"))
      yield* Effect.flip(call("6"))
      assert.isTrue(Exit.isSuccess(yield* grant(yield* tokenOf("6"))))
      return yield* tokenOf("5")
    })
  )

describe("An approval on a copied database (DEC-09, T-09)", () => {
  it.live("of staging is refused in production: its token, and its unused grant", () =>
    Effect.gen(function* () {
      const staging = yield* TestDatabase
      const token = yield* staged(staging, "staging")
      const production = yield* copyOf(staging)
      yield* on(
        production,
        "production"
      )(
        Effect.gen(function* () {
          const own = yield* tokenOf("5")
          assert.notStrictEqual(own, token)
          assert.strictEqual(problemOf(yield* grant(token)), "not_accepted")
          assert.strictEqual(problemOf(yield* Effect.exit(call("6"))), "forged")
          assert.isTrue(Exit.isSuccess(yield* grant(own)))
          assert.strictEqual(yield* call("5"), "ran")
        })
      )
      // There it is as good as ever: the name alone has made the difference.
      const there = yield* on(staging, "staging")(Effect.andThen(grant(token), Effect.all([call("5"), call("6")])))
      assert.deepStrictEqual(there, ["ran", "ran"])
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("without a name is good on both, since a copy has the same id; a name given later withdraws it", () =>
    Effect.gen(function* () {
      const original = yield* TestDatabase
      const token = yield* staged(original, null)
      const copy = yield* copyOf(original)
      assert.strictEqual(problemOf(yield* on(copy, "production")(grant(token))), "not_accepted")
      assert.strictEqual(problemOf(yield* on(copy, null)(grant(token))), "none")
      assert.strictEqual(problemOf(yield* on(copy, "production")(Effect.exit(call("6")))), "forged")
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})
