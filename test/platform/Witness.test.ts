import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { person, platform, send, tenant } from "./Serving.ts"
import { newLog } from "./WitnessedLog.ts"

const path = "/api/v1/witness/checkpoints"

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

layer(platform, { excludeTestServices: true, timeout: "60 seconds" })("The platform as a witness", (it) => {
  it.effect("follows a log that grows, by its leaves or by proofs, and says again what it knows (BEY-04)", () =>
    Effect.gen(function* () {
      const { token } = yield* tenant()
      const log = newLog()
      const leaves = range(1, 20).map((seq) => log.leaf(seq))
      const post = (body: unknown) => send("POST", path, { token, body })
      for (const [size, from] of [
        [3, 0],
        [4, 3],
        [11, 4]
      ] as const) {
        const answer = yield* post(log.shown(leaves.slice(0, size), from))
        assert.strictEqual(answer.status, 200, JSON.stringify(answer.body))
        assert.deepInclude(answer.body as object, { origin: log.origin, size })
      }
      assert.strictEqual((yield* post(log.proved(leaves.slice(0, 13), 11))).status, 200)
      assert.strictEqual((yield* post(log.proved(leaves, 13))).status, 200)
      assert.strictEqual((yield* post(log.proved(leaves, 13))).status, 200)
      const stale = yield* post(log.proved([...leaves, log.leaf(21)], 13))
      assert.deepStrictEqual([stale.status, stale.body], [409, { error: "stale_size", size: 20 }])
    })
  )

  it.effect("refuses a shorter, a forked, an unproved log and another key, and shows the alarms (P-04, A-32)", () =>
    Effect.gen(function* () {
      const { token, workflow, workspace } = yield* tenant()
      const { cookie } = yield* person(workspace, "viewer")
      const log = newLog()
      const leaves = range(1, 8).map((seq) => log.leaf(seq))
      const post = (body: unknown) => send("POST", path, { token, body })
      const first = log.shown(leaves, 0)
      assert.strictEqual((yield* post(first)).status, 200)

      const forked = [...leaves.slice(0, 7), log.leaf(8, "other")]
      const back = [...leaves, log.leaf(2)]
      const rewritten = [...leaves, log.leaf(8, "again")]
      const other = newLog(log.origin)
      const more = [...leaves, log.leaf(9)]
      const { leaves: _, ...bare } = log.shown(more, 8)
      const attacks: ReadonlyArray<readonly [string, unknown]> = [
        ["rolled_back", { ...log.shown(leaves.slice(0, 5), 0), old_size: 8 }],
        ["forked", log.shown(forked, 0)],
        ["inconsistent", log.shown([...forked, log.leaf(9)], 8)],
        ["inconsistent", { ...log.proved([...forked, log.leaf(9)], 8) }],
        ["inconsistent", bare],
        ["chain_went_back", log.shown(back, 8)],
        ["chain_went_back", log.shown(rewritten, 8)],
        ["other_key", other.shown(more, 8)],
        ["bad_signature", { ...log.shown(more, 8), note: log.shown(more, 8).note.replace("\n9\n", "\n10\n") }]
      ]
      // Late, behind a faster process of the same deployment: told what is held, and no alarm.
      const late = yield* post(log.shown(leaves.slice(0, 5), 0))
      assert.deepStrictEqual([late.status, late.body], [409, { error: "stale_size", size: 8 }])
      for (const [problem, body] of attacks) {
        const answer = yield* post(body)
        assert.deepStrictEqual([answer.status, answer.body], [422, { error: "refused", problem }])
      }
      const view = yield* send("GET", `/api/v1/workspaces/${workspace}/workflows/${workflow}/witness`, { cookie })
      const { alarms, logs } = view.body as {
        alarms: ReadonlyArray<{ problem: string; kept_note: string; note: string }>
        logs: ReadonlyArray<object>
      }
      assert.deepStrictEqual(
        new Set(alarms.map(({ problem }) => problem)),
        new Set(attacks.map(([problem]) => problem))
      )
      assert.isTrue(alarms.every((alarm) => alarm.kept_note === first.note))
      assert.lengthOf(logs, 1)
      assert.deepInclude(logs[0], { size: 8, note: first.note })
      assert.strictEqual((yield* post(log.shown(more, 8))).status, 200)
    })
  )

  it.effect("notices every fork of a random log at a random place (P-04)", () =>
    Effect.gen(function* () {
      const { token } = yield* tenant()
      let noticed = 0
      for (const seed of range(1, 25)) {
        const log = newLog()
        const size = 2 + ((seed * 7) % 23)
        const leaves = range(1, size).map((seq) => log.leaf(seq))
        assert.strictEqual((yield* send("POST", path, { token, body: log.shown(leaves, 0) })).status, 200)
        const at = (seed * 5) % size
        const forked = leaves.map((leaf, i) => (i === at ? log.leaf(leaf.seq, "forged") : leaf))
        const longer = [...forked, log.leaf(size + 1)]
        const shown = seed % 2 === 0 ? log.shown(longer, size) : log.proved(longer, size)
        if ((yield* send("POST", path, { token, body: shown })).status === 422) noticed++
      }
      assert.strictEqual(noticed, 25)
    })
  )

  it.effect("takes no text that is no checkpoint, and nothing without its tier (PLT-08)", () =>
    Effect.gen(function* () {
      const { token } = yield* tenant()
      const body = newLog().shown([], 0)
      const post = (changes: object) => send("POST", path, { token, body: { ...body, ...changes } })
      for (const note of ["x", "a\nb\nc\n\n\u2014 x y\n", `${body.note}\u0000`, body.note.slice(1)]) {
        assert.isTrue([400, 422].includes((yield* post({ note })).status), JSON.stringify(note))
      }
      assert.strictEqual((yield* post({ verifier_key: "k" })).status, 400)
      const free = yield* tenant("team")
      assert.strictEqual((yield* send("POST", path, { token: free.token, body })).status, 402)
    })
  )
})
