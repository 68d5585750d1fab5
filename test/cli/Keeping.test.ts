import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { segmentTable } from "../../src/cli/commands/prune.ts"
import * as LiveEnvironment from "../../src/cli/LiveEnvironment.ts"
import { ChainId } from "../../src/schema/Ids.ts"
import { Audit } from "../../src/services/Audit.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { governance, memory } from "./InProcess.ts"

const real = { excludeTestServices: true } as const
const secret = "38b8b53befc08b03be1298b72c8efc894e319d11d3b30e4ea1bd8970e33da504"
const directory = mkdtempSync(join(tmpdir(), "keeping-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const as =
  (role: "appUrl" | "ownerUrl") =>
  (...args: ReadonlyArray<string>) =>
    Effect.flatMap(TestDatabase, (database) =>
      governance(args, {
        env: { GOVERNANCE_DATABASE_URL: Redacted.value(database[role]), GOVERNANCE_AUDIT_SECRET: secret }
      })
    )
const app = as("appUrl")
const owner = as("ownerUrl")
const written = (session: string) =>
  Effect.gen(function* () {
    for (const _ of [1, 2, 3]) yield* app("emit", "step", "--agent", "clerk", "--session", session)
    yield* Effect.sleep(1100)
  })

describe("governance prune, erase and hold", () => {
  layer(Layer.merge(LiveEnvironment.layer, freshDatabase), real)("on Postgres", (it) => {
    it.effect("prune says first what would go, archives it, and verify then says the range (CLI, A-29)", () =>
      Effect.gen(function* () {
        yield* written("s1")
        const wish = ["prune", "--older-than", "1s", "--chain", "session:s1", "--allow-shorter", "--by", "ann"]
        const dry = yield* owner(...wish, "--dry-run")
        assert.include(dry.out, "3 rows would go; nothing was changed.")
        const archive = join(directory, "s1.jsonl")
        const refused = yield* app(...wish, "--archive", archive)
        assert.strictEqual(refused.code, 2)
        assert.include(refused.err, "only the owner")
        assert.isFalse(existsSync(archive))
        const ran = yield* owner(...wish, "--archive", archive, "--json")
        assert.strictEqual(ran.code, 0, ran.err)
        assert.strictEqual(JSON.parse(ran.out).pruned[0].rows, 3)
        const lines = readFileSync(archive, "utf8").trimEnd().split("\n")
        assert.deepStrictEqual(
          lines.map((line) => JSON.parse(line).seq),
          [1, 2, 3]
        )
        assert.include(ran.err, "no checkpoint covers: GOVERNANCE_CHECKPOINT_KEY is not set")
        const verified = yield* app("verify", "--session", "s1")
        assert.strictEqual(verified.code, 0, verified.err)
        assert.include(verified.out, "session:s1: rows 1 to 3 were pruned (seal: operator, row 1)")
      })
    )

    it.effect(
      "prune signs a checkpoint over its seal where it has a key, and verify is anchored to it (BEY-04, CLI)",
      () =>
        Effect.gen(function* () {
          yield* written("s3")
          const url = yield* Effect.map(TestDatabase, ({ ownerUrl }) => Redacted.value(ownerUrl))
          const signing = (...args: ReadonlyArray<string>) =>
            governance(args, {
              env: {
                GOVERNANCE_DATABASE_URL: url,
                GOVERNANCE_AUDIT_SECRET: secret,
                GOVERNANCE_CHECKPOINT_KEY: "env://KEY",
                KEY: "0123456789abcdef".repeat(4)
              }
            })
          assert.strictEqual((yield* signing("checkpoint", "show")).code, 1)
          const wish = ["prune", "--older-than", "1s", "--chain", "session:s3", "--allow-shorter", "--by", "ann"]
          const ran = yield* signing(...wish)
          assert.deepStrictEqual([ran.code, ran.err], [0, ""])
          assert.include(ran.out, "3 rows pruned under 1 seal")
          const verified = yield* signing("verify")
          assert.strictEqual(verified.code, 0, verified.err)
          assert.include(verified.out, "session:s3: rows 1 to 3 were pruned")
          assert.match(verified.out, /anchored to checkpoint 2 of .*: covers 3 rows in 1 chain/)
        })
    )

    it.effect("a hold stops prune and erase, is listed, and only the owner lets go (CLI)", () =>
      Effect.gen(function* () {
        yield* written("s2")
        const target = ["--session", "s2", "--reason", "case \u001b[31m12\u202e", "--by", "ann"]
        assert.strictEqual((yield* app("hold", "set", ...target)).code, 0)
        const listed = yield* app("hold", "list")
        assert.include(listed.out, "s2")
        assert.isFalse(["\u001b", "\u202e"].some((hidden) => listed.out.includes(hidden)))
        const wish = ["prune", "--older-than", "1s", "--chain", "session:s2", "--allow-shorter", "--by", "ann"]
        const held = yield* owner(...wish)
        assert.strictEqual(held.code, 1)
        assert.include(held.err, "a legal hold stands on session s2")
        assert.strictEqual((yield* app("hold", "release", ...target)).code, 2)
        assert.strictEqual((yield* owner("hold", "release", ...target)).code, 0)
        assert.strictEqual((yield* owner("hold", "release", ...target)).code, 1)
        assert.strictEqual((yield* owner(...wish)).code, 0)
      })
    )

    it.effect("an archive never goes over a file that is there, and leaves none where nothing went (CLI)", () =>
      Effect.gen(function* () {
        const path = join(directory, "mine.txt")
        writeFileSync(path, "mine")
        const wish = ["prune", "--older-than", "400d", "--all", "--by", "ann", "--archive"]
        const ran = yield* owner(...wish, path)
        assert.strictEqual(ran.code, 2)
        assert.strictEqual(readFileSync(path, "utf8"), "mine")
        assert.strictEqual((yield* owner(...wish, join(directory, "none.jsonl"))).code, 0)
        assert.isFalse(existsSync(join(directory, "none.jsonl")))
      })
    )

    it.effect("erase answers for a subject it does not know too, and never prints the name (A-30)", () =>
      Effect.gen(function* () {
        const dry = yield* owner("erase", "customer-4711", "--dry-run")
        assert.strictEqual(dry.code, 0)
        const ran = yield* owner("erase", "customer-4711", "--by", "ann", "--yes")
        assert.strictEqual(ran.code, 0)
        assert.include(ran.out, "Recorded in chain operator under the reference")
        assert.notInclude(dry.out + ran.out + dry.err + ran.err, "customer-4711")
      })
    )
  })

  layer(memory, real)("in memory", (it) => {
    it.effect(
      "erase asks first at a terminal, and without one needs --yes; anything but yes erases nothing (A-30)",
      () =>
        Effect.gen(function* () {
          const erase = ["erase", "customer-4711", "--by", "ann"]
          const erased = Effect.flatMap(Audit, (audit) => audit.getEvents({ kinds: ["audit.subject_erased"] }))
          for (const options of [{}, { stdin: "yes\n" }, { terminal: [], types: "no" }, { terminal: [], types: "" }]) {
            const ran = yield* governance(erase, options)
            assert.deepStrictEqual([ran.code, ran.out], [2, ""])
            assert.match(ran.err, /--yes is missing.*then give --yes|was not yes\. Nothing was changed/)
          }
          const asJson = yield* governance([...erase, "--json"], { terminal: [], types: "yes" })
          assert.strictEqual(asJson.code, 2)
          assert.strictEqual((yield* erased).length, 0)
          const asked = yield* governance(erase, { terminal: [], types: "Yes " })
          assert.strictEqual(asked.code, 0, asked.err)
          assert.match(asked.err, /becomes unreadable, for good\. Type yes to go on:/)
          assert.strictEqual((yield* governance([...erase, "--yes"])).code, 0)
          assert.strictEqual((yield* erased).length, 2)
        })
    )

    it.effect("prune speaks of its flags when the time is too short", () =>
      Effect.gen(function* () {
        for (const more of [["--dry-run"], ["--by", "ann"]]) {
          const ran = yield* governance(["prune", "--older-than", "1s", "--all", ...more])
          assert.strictEqual(ran.code, 2)
          assert.match(ran.err, /--older-than is shorter than the minimum of 183 days\. .*--allow-shorter/)
        }
      })
    )
  })

  it("prune lists the first 20 segments and says how many more there are", () => {
    const rows = Array.from({ length: 10_020 }, (_, i) => ({
      chain: ChainId.make(`session:s${i}`),
      fromSeq: 1,
      toSeq: 2
    }))
    const lines = segmentTable(rows, 80).split("\n")
    assert.strictEqual(lines.length, 22)
    assert.strictEqual(lines.at(-1), "and 10000 more; --json lists all")
    assert.strictEqual(segmentTable(rows.slice(0, 20), 80).split("\n").length, 21)
  })

  layer(memory, real)("on a line that is wrong", (it) => {
    for (const args of [
      ["prune"],
      ["prune", "--older-than", "200d"],
      ["prune", "--older-than", "200d", "--all", "--chain", "session:s1"],
      ["prune", "--older-than", "200", "--all"],
      ["prune", "--older-than", "-1d", "--all"],
      ["prune", "--older-than", "0d", "--all"],
      ["prune", "--older-than", "30d", "--all", "--by", "ann"],
      ["prune", "--older-than", "200d", "--chain", "nothing", "--by", "ann"],
      ["erase"],
      ["erase", "", "--by", "ann", "--yes"],
      ["erase", "x".repeat(300), "--by", "ann", "--yes"],
      ["erase", "x", "--by", "\u0007", "--yes"],
      ["hold", "set", "--reason", "r"],
      ["hold", "set", "--session", "s", "--agent", "a", "--reason", "r"],
      ["hold", "set", "--session", "s", "--reason", "", "--by", "ann"],
      ["hold", "set", "--chain", "s", "--reason", "r", "--by", "ann"]
    ]) {
      it.effect(
        `governance ${args.join(" ").slice(0, 60)} is refused as usage, in one line that says what to do (L-06)`,
        () =>
          Effect.gen(function* () {
            const ran = yield* governance(args)
            assert.strictEqual(ran.code, 2, ran.err + ran.out)
            assert.strictEqual(ran.out, "")
            assert.notStrictEqual(ran.err, "")
          })
      )
    }
  })
})
