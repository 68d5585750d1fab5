import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Audit } from "../../src/services/Audit.ts"
import { type Governor, governed } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { admin, governance, mustHold } from "./Truth.ts"

/** What the server may answer, and whether sending the statement again is right (the project's one classification). */
const states: ReadonlyArray<readonly [string, "again" | "final"]> = [
  ["40001", "again"],
  ["40P01", "again"],
  ["55P03", "again"],
  ["57P01", "again"],
  ["57P02", "again"],
  ["57P03", "again"],
  ["08003", "again"],
  ["08006", "again"],
  ["53300", "again"],
  ["53200", "again"],
  ["25006", "again"],
  ["XX000", "again"],
  ["57014", "final"],
  ["53100", "final"],
  ["58030", "final"],
  ["42501", "final"],
  ["23514", "final"]
]

/** The statements that count, by the table whose trigger raises; a halt moves the tree's row, as admission locks it. */
const statements = {
  append: "governance_audit_events",
  admit: "governance_tickets",
  halt: "governance_trees"
} as const
type Statement = keyof typeof statements

const install = Effect.gen(function* () {
  yield* admin("CREATE TABLE fault_plan (code text, target text, times int)")
  yield* admin("CREATE SEQUENCE fault_count")
  // A sequence is not rolled back with the statement that failed, so it can count failures.
  yield* admin(`CREATE FUNCTION raise_fault() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE plan record;
    BEGIN
      SELECT * INTO plan FROM public.fault_plan p WHERE p.target = TG_TABLE_NAME;
      IF FOUND AND nextval('public.fault_count') <= plan.times THEN
        RAISE EXCEPTION 'injected' USING ERRCODE = plan.code;
      END IF;
      RETURN NULL;
    END $$`)
  for (const table of Object.values(statements)) {
    yield* admin(
      `CREATE TRIGGER fault BEFORE INSERT OR UPDATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION raise_fault()`
    )
  }
})

const plan = (code: string, statement: Statement, times: number) =>
  admin(
    "WITH gone AS (DELETE FROM fault_plan), started AS (SELECT setval('fault_count', 1, false)) INSERT INTO fault_plan SELECT $1::text, $2::text, $3::int FROM started",
    [code, statements[statement], times]
  )
const clear = admin("DELETE FROM fault_plan")

const tagOf = (exit: Exit.Exit<unknown, { readonly _tag: string }>) => {
  if (Exit.isSuccess(exit)) return "done"
  const [reason] = exit.cause.reasons
  return reason?._tag === "Fail" ? reason.error._tag : "threw"
}

describe("every SQLSTATE at every statement that counts", () => {
  it.live("is retried where that is right, else a typed error; it never throws and never doubles (F-11, G15)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      yield* install
      const use = Effect.gen(function* () {
        const audit = yield* Audit
        const policies = yield* Policies
        const presence = yield* Presence
        yield* policies.register("clerk", "scope", { allowedTools: ["work"] })
        yield* policies.register("clerk", "budget", { perSessionUsd: "100" })
        const call = governed({ agentId: "clerk", sessionId: "s", tool: "work", maxUsd: "0.01" })(Effect.void)
        yield* call
        const acts: Record<Statement, Effect.Effect<unknown, { readonly _tag: string }, Governor>> = {
          append: audit.require({ kind: "tool.call", agentId: "clerk", sessionId: "a" }),
          admit: call,
          halt: presence.halt("other", { by: "operator", reason: "test" })
        }
        const failed = { append: "StoreError", admit: "StoreError", halt: "HaltPersistenceError" } as const
        const wrong: Array<string> = []
        for (const [code, retry] of states) {
          for (const statement of ["append", "admit", "halt"] as const) {
            yield* plan(code, statement, 1)
            const tag = tagOf(yield* Effect.exit(acts[statement]))
            yield* clear
            // A person's halt is not repeated behind their back: it fails, typed, and they repeat it.
            const expected = statement === "halt" || retry === "final" ? failed[statement] : "done"
            if (tag !== expected) wrong.push(`${code} at ${statement}: ${tag} instead of ${expected}`)
            const after = tagOf(yield* Effect.exit(acts[statement]))
            if (after !== "done") wrong.push(`${code} at ${statement}: ${after} when it was over`)
            if (statement === "halt") yield* presence.resume("other", { by: "operator" })
          }
        }
        assert.deepStrictEqual(wrong, [])
        assert.deepStrictEqual(yield* admin("SELECT count(*)::int FROM governance_tickets WHERE state = 'open'"), [[0]])
      })
      yield* Effect.provide(use, governance(appUrl), { local: true })
      yield* admin("DROP FUNCTION raise_fault CASCADE")
      yield* mustHold([], { caps: { "clerk s": 100_000_000_000n } })
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live(
    "a statement that keeps failing is refused within the deadline, and the log goes to the fallback (F-11, DEC-06)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        yield* install
        const use = Effect.gen(function* () {
          const audit = yield* Audit
          const policies = yield* Policies
          yield* policies.register("clerk", "scope", { allowedTools: ["work"] })
          const call = governed({ agentId: "clerk", sessionId: "s", tool: "work" })(Effect.void)
          yield* call
          for (const code of ["40001", "57P03", "53300"]) {
            yield* plan(code, "admit", 1_000_000)
            const began = performance.now()
            assert.strictEqual(tagOf(yield* Effect.exit(call)), "StoreError")
            assert.isBelow(performance.now() - began, 2000)
          }
          yield* plan("40001", "append", 1_000_000)
          const record = yield* audit.log({ kind: "tool.call", agentId: "clerk", sessionId: "a" })
          assert.strictEqual(record.status, "spooled")
          yield* clear
          for (let i = 0; (yield* audit.stats).waiting > 0 && i < 100; i++) yield* Effect.sleep("50 millis")
          assert.strictEqual((yield* audit.traceSessionChain("a")).length, 1)
        })
        yield* Effect.provide(use, governance(appUrl), { local: true })
        yield* admin("DROP FUNCTION raise_fault CASCADE")
        yield* mustHold([])
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})
