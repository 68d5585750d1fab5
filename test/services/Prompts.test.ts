import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { operatorChain } from "../../src/schema/Ids.ts"
import { maxPromptBytes, promptContent, promptText } from "../../src/schema/Prompt.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { governed } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Prompts } from "../../src/services/Prompts.ts"
import { naughtyStrings } from "../schema/Vectors.ts"
import { capture, has, kinds, lined, memory, newLine } from "./World.ts"

const by = "ada"
const rowsOfOperators = Effect.map(
  AuditStore.use((store) => store.find({ chain: operatorChain })),
  (rows) => rows.map((row) => ({ kind: row.kind, facts: JSON.parse(row.canonical).metadata }))
)
const hex = (text: string) => createHash("sha256").update(text).digest("hex")

describe("Prompts", () => {
  it.effect("a version is the hash of label and canonical text, the same under every name (PRM-01, V8-10)", () =>
    Effect.gen(function* () {
      const prompts = yield* Prompts
      const text = 'Answer in "one" line.\n'
      const { version } = yield* prompts.register("triage", text, { by })
      assert.strictEqual(version, hex(`effect-governance/prompt/v1/hash\n${JSON.stringify(text)}`))
      assert.strictEqual((yield* prompts.register("another", text, { by })).version, version)
    }).pipe(Effect.provide(memory()))
  )

  it.effect("registers a text once; a new one is a new version, and none of it is active yet (PRM-01)", () =>
    Effect.gen(function* () {
      const prompts = yield* Prompts
      const one = yield* prompts.register("triage", "a", { by })
      const again = yield* prompts.register("triage", "a", { by: "bob" })
      const two = yield* prompts.register("triage", "b", { by })
      assert.deepStrictEqual([one.created, again.created, two.created], [true, false, true])
      assert.strictEqual(again.version, one.version)
      assert.notStrictEqual(two.version, one.version)
      has(yield* Effect.flip(prompts.use("triage")), { _tag: "PromptNotFound", problem: "not_active" })
      assert.deepStrictEqual(
        (yield* prompts.list).map((found) => ({ ...found })),
        [{ name: one.name, versions: 2, active: null }]
      )
      assert.deepStrictEqual(
        (yield* rowsOfOperators).map(({ kind, facts }) => [kind, facts.version, facts.by]),
        [
          ["prompt.registered", one.version, "ada"],
          ["prompt.registered", two.version, "ada"]
        ]
      )
    }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "activates and rolls back, each with its row in the operators' chain; nothing to do leaves none (V8-10)",
    () =>
      Effect.gen(function* () {
        const prompts = yield* Prompts
        const a = yield* prompts.register("triage", "a", { by })
        const b = yield* prompts.register("triage", "b", { by })
        has(yield* prompts.activate("triage", a.version, { by }), { changed: true, previous: null })
        has(yield* prompts.activate("triage", b.version, { by: "bob" }), { changed: true, previous: a.version })
        has(yield* prompts.activate("triage", b.version, { by }), { changed: false })
        has(yield* prompts.use("triage"), { name: "triage", version: b.version, text: "b" })
        has(yield* prompts.rollback("triage", { by }), { version: a.version })
        has(yield* prompts.use("triage"), { version: a.version, text: "a" })
        const nothing = yield* Effect.flip(prompts.rollback("triage", { by }))
        has(nothing, { _tag: "PromptNotFound", problem: "nothing_earlier" })
        assert.deepStrictEqual(
          (yield* rowsOfOperators).slice(2).map(({ facts, kind }) => ({ kind, ...facts })),
          [
            {
              kind: "prompt.activated",
              how: "activate",
              by: "ada",
              name: "triage",
              version: a.version,
              previous: null
            },
            ...[{ kind: "prompt.activated", how: "activate", by: "bob", name: "triage", version: b.version }].map(
              (row) => ({
                ...row,
                previous: a.version
              })
            ),
            ...[{ kind: "prompt.activated", how: "rollback", by: "ada", name: "triage", version: a.version }].map(
              (row) => ({
                ...row,
                previous: b.version
              })
            )
          ]
        )
        assert.isTrue(yield* Audit.use((audit) => audit.verifyChain({ chain: "operator" })))
        const { activations, versions } = yield* prompts.history("triage")
        assert.deepStrictEqual(
          [versions.map(({ version }) => version), activations.map(({ version }) => version)],
          [
            [a.version, b.version],
            [a.version, b.version, a.version]
          ]
        )
      }).pipe(Effect.provide(memory()))
  )

  it.effect("a change whose row cannot be written does not happen (design 3.7)", () => {
    const line = { ...newLine(), only: ["audit"] as const }
    return Effect.gen(function* () {
      const prompts = yield* Prompts
      const a = yield* prompts.register("triage", "a", { by })
      line.state = "down"
      assert.strictEqual((yield* Effect.flip(prompts.register("triage", "b", { by })))._tag, "StoreError")
      assert.strictEqual((yield* Effect.flip(prompts.activate("triage", a.version, { by })))._tag, "StoreError")
      line.state = "up"
      const { activations, versions } = yield* prompts.history("triage")
      assert.deepStrictEqual([versions.length, activations.length], [1, 0])
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect("gives every hostile text back unchanged (DEC-17, A-12)", () =>
    Effect.gen(function* () {
      const prompts = yield* Prompts
      const texts = ["\u0000", "half \ud800", "\u001b]0;title\u0007", "\u202egnp.exe", "a\r\nb\rc", ...naughtyStrings()]
      const found = new Set<string>()
      for (const text of texts.filter((one) => one !== "")) {
        const { version } = yield* prompts.register("naughty", text, { by })
        found.add(version)
        assert.strictEqual((yield* prompts.get("naughty", version)).text, text)
      }
      assert.strictEqual(found.size, new Set(texts.filter((one) => one !== "")).size)
    }).pipe(Effect.provide(memory()))
  )

  it("reads no stored content that it would not write (A-12)", () => {
    for (const wrong of ["", "{", "1", "null", '{"a":"b"}', '["x"]'])
      assert.isTrue(promptText(wrong)._tag === "None", wrong)
    assert.deepStrictEqual(promptText(promptContent("\u0000"))._tag, "Some")
  })

  it.effect(
    "refuses bad names, texts, versions and operators by naming the argument, and stores nothing (ERR-14)",
    () =>
      Effect.gen(function* () {
        const prompts = yield* Prompts
        const field = (self: Effect.Effect<unknown, { readonly _tag: string }>) =>
          Effect.map(Effect.flip(self), (error) => ("field" in error ? error.field : error._tag))
        const long = "é".repeat(maxPromptBytes / 2)
        assert.strictEqual(yield* field(prompts.register("", "a", { by })), "name")
        assert.strictEqual(yield* field(prompts.register("x".repeat(257), "a", { by })), "name")
        assert.strictEqual(yield* field(prompts.register("x", "", { by })), "text")
        assert.strictEqual(yield* field(prompts.register("x", `${long}a`, { by })), "text")
        assert.strictEqual(yield* field(prompts.register("x", 7 as never, { by })), "text")
        assert.strictEqual(yield* field(prompts.register("x", "a", { by: "" })), "by")
        assert.strictEqual(yield* field(prompts.get("x", "abc")), "version")
        assert.strictEqual(yield* field(prompts.get("x", "A".repeat(64))), "version")
        assert.strictEqual(yield* field(prompts.get("x", "0".repeat(64))), "PromptNotFound")
        assert.strictEqual(yield* field(prompts.history("x")), "PromptNotFound")
        assert.deepStrictEqual(yield* prompts.list, [])
        assert.isTrue((yield* prompts.register("x", long, { by })).created)
      }).pipe(Effect.provide(memory()))
  )

  it.effect("shows line by line what changed from one version to another (V8-10)", () =>
    Effect.gen(function* () {
      const prompts = yield* Prompts
      const a = yield* prompts.register("triage", "one\ntwo\nthree\n", { by })
      const b = yield* prompts.register("triage", "one\n2\nthree\nfour\n", { by })
      assert.deepStrictEqual(yield* prompts.diff("triage", a.version, b.version), [
        { change: "same", text: "one\n" },
        { change: "removed", text: "two\n" },
        { change: "added", text: "2\n" },
        { change: "same", text: "three\n" },
        { change: "added", text: "four\n" }
      ])
      assert.deepStrictEqual(yield* prompts.diff("triage", a.version, a.version), [
        { change: "same", text: "one\ntwo\nthree\n" }
      ])
    }).pipe(Effect.provide(memory()))
  )

  it.effect("two large texts without a line in common are told apart as wholes, soon (INV-3, R-07)", () =>
    Effect.gen(function* () {
      const prompts = yield* Prompts
      const [before, after] = [0, 1].map((n) => Array.from({ length: 40_000 }, (_, i) => `${2 * i + n}`).join("\n"))
      const a = yield* prompts.register("triage", before!, { by })
      const b = yield* prompts.register("triage", after!, { by })
      assert.deepStrictEqual(yield* prompts.diff("triage", a.version, b.version), [
        { change: "removed", text: before! },
        { change: "added", text: after! }
      ])
    }).pipe(Effect.provide(memory()))
  )

  it.effect("use goes on with the last version it saw when the store is silent, and says so (INV-1)", () => {
    const line = newLine()
    const log = capture()
    return Effect.gen(function* () {
      const prompts = yield* Prompts
      const { version } = yield* prompts.register("triage", "a", { by })
      yield* prompts.activate("triage", version, { by })
      yield* prompts.use("triage")
      line.state = "down"
      has(yield* prompts.use("triage"), { version, text: "a" })
      assert.strictEqual(log.named("prompt.last_known").length, 1)
      assert.strictEqual((yield* Effect.flip(prompts.use("never seen")))._tag, "StoreError")
    }).pipe(Effect.provide(lined(line)), Effect.provide(log.layer))
  })
})

describe("The prompt of a call (V8-10)", () => {
  const agentId = "clerk"
  const allow = AgentScope.use((scope) => scope.register({ agentId, allowedTools: ["*"] }))
  const attempt = (session: string) =>
    Effect.map(
      Effect.flatMap(Audit, (audit) => audit.traceSessionChain(session)),
      ([row]) => row?.metadata
    )

  it.effect("stands in the audit row of the attempt, with metadata of the caller's and without", () =>
    Effect.gen(function* () {
      yield* allow
      const prompts = yield* Prompts
      const { version } = yield* prompts.register("triage", "Sort it.", { by })
      yield* prompts.activate("triage", version, { by })
      const prompt = yield* prompts.use("triage")
      const ran = (more: object, sessionId: string) =>
        Effect.void.pipe(governed({ agentId, sessionId, tool: "sort", prompt, ...more }))
      yield* ran({}, "plain")
      yield* ran({ metadata: { ticket: 7 } }, "described")
      yield* Effect.flatMap(Policies, (policies) => policies.register(agentId, "audit", { mode: "required" }))
      yield* ran({}, "required")
      for (const session of ["plain", "described", "required"]) {
        has((yield* attempt(session)) as object, { name: "sort", prompt: { name: "triage", version } })
        assert.deepStrictEqual(yield* kinds(session), ["tool.call", "tool.result"])
      }
      yield* Effect.void.pipe(governed({ agentId, sessionId: "without", tool: "sort" }))
      assert.notProperty(yield* attempt("without"), "prompt")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("that is none refuses the call", () =>
    Effect.gen(function* () {
      yield* allow
      for (const prompt of [
        {},
        null,
        { name: "triage" },
        { name: "triage", version: "7" },
        { name: "", version: "0" }
      ]) {
        const call = { agentId, tool: "sort", prompt: prompt as never }
        has(yield* Effect.flip(Effect.void.pipe(governed(call))), { _tag: "InvalidInput", field: "prompt" })
      }
    }).pipe(Effect.provide(memory()))
  )
})
