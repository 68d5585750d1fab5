import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Prompts } from "../../src/services/Prompts.ts"
import { governance, memory } from "./InProcess.ts"

const directory = mkdtempSync(join(tmpdir(), "prompts-"))
afterAll(() => rmSync(directory, { recursive: true }))
const fileOf = (text: string | Uint8Array) => {
  const path = join(directory, crypto.randomUUID())
  writeFileSync(path, text)
  return path
}
const prompts = (...args: ReadonlyArray<string>) => governance(["prompts", ...args, "--by", "ada"])
const read = (...args: ReadonlyArray<string>) => governance(["prompts", ...args])

describe("governance prompts", () => {
  layer(memory)("(CLI, PRM-01, V8-10)", (it) => {
    it.effect("registers, activates, lists, compares and goes back", () =>
      Effect.gen(function* () {
        const one = yield* prompts("add", "life", fileOf("one\ntwo\n"), "--activate", "--json")
        const two = yield* governance(["prompts", "add", "life", "-", "--by", "ada", "--json"], { stdin: "one\n2\n" })
        assert.deepStrictEqual([one.code, two.code], [0, 0])
        const [a, b]: ReadonlyArray<string> = [one, two].map(({ out }) => JSON.parse(out).version)
        assert.strictEqual((yield* prompts("activate", "life", b!.slice(0, 8))).code, 0)
        const diff = yield* read("diff", "life", a!, b!.slice(0, 12))
        assert.strictEqual(diff.out, "  one\n- two\n+ 2\n")
        for (const list of [yield* read(), yield* read("list")]) {
          assert.match(list.out, new RegExp(`life +2 +${b!.slice(0, 16)}`))
        }
        const back = yield* prompts("rollback", "life")
        assert.deepStrictEqual([back.code, back.out.includes(a!.slice(0, 16))], [0, true])
        const shown = yield* read("show", "life")
        assert.match(shown.out, /active\n/)
        assert.match(shown.out, /was active/)
        const text = yield* read("show", "life", "--version", a!)
        assert.strictEqual(text.out, "one\ntwo\n\n")
        const history = JSON.parse((yield* read("show", "life", "--json")).out)
        assert.deepStrictEqual(
          history.activations.map((one: { version: string }) => one.version),
          [a, b, a]
        )
      })
    )

    it.effect("says what is wrong and changes nothing: 2 for a bad command line, 1 for what is not there (L-06)", () =>
      Effect.gen(function* () {
        const before = yield* (yield* Prompts).list
        const bad: ReadonlyArray<readonly [ReadonlyArray<string>, number]> = [
          [["add", "bad", join(directory, "missing"), "--by", "ada"], 2],
          [["add", "bad", fileOf(""), "--by", "ada"], 2],
          [["add", "bad", fileOf("x".repeat(262_145)), "--by", "ada"], 2],
          [["add", "bad", fileOf(new Uint8Array([0xff, 0xfe])), "--by", "ada"], 2],
          [["add", "", fileOf("x"), "--by", "ada"], 2],
          [["add", "bad", fileOf("x"), "--by", ""], 2],
          [["activate", "nobody", "0".repeat(64), "--by", "ada"], 1],
          [["rollback", "nobody", "--by", "ada"], 1],
          [["show", "nobody"], 1],
          [["diff", "nobody", "0".repeat(64), "1".repeat(64)], 1]
        ]
        for (const [args, code] of bad) {
          const ran = yield* read(...args)
          assert.strictEqual(ran.code, code, `${args.join(" ")}: ${ran.err}`)
          assert.strictEqual(ran.out, "", args.join(" "))
          assert.notStrictEqual(ran.err, "")
        }
        assert.deepStrictEqual(yield* (yield* Prompts).list, before)
        yield* prompts("add", "short", fileOf("x"))
        for (const digits of ["0", "zzzzzzzz", "0".repeat(64), "........"]) {
          assert.strictEqual((yield* prompts("activate", "short", digits)).code, 2, digits)
        }
        assert.strictEqual((yield* prompts("rollback", "short")).code, 1)
      })
    )

    it.effect("shows hostile names and texts safely, and their JSON exactly (T-13, L-07)", () =>
      Effect.gen(function* () {
        const hostile = "\u001b[2J\u202egnp.exe\u200b\u0007\r overwritten\nline"
        const added = yield* prompts("add", `\u202ename`, fileOf(hostile), "--activate")
        const version = (yield* (yield* Prompts).list).find(({ name }) => name.includes("name"))!.active!
        yield* prompts("add", `\u202ename`, fileOf(`${hostile} more`))
        const [, second] = (yield* (yield* Prompts).history("\u202ename")).versions
        const outputs = [
          added,
          yield* read(),
          yield* read("show", "\u202ename"),
          yield* read("show", "\u202ename", "--version", version),
          yield* read("diff", "\u202ename", version, second!.version),
          yield* prompts("rollback", "\u202ename"),
          yield* read("show", "\u202enobody")
        ]
        // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal must not be told
        for (const { err, out } of outputs) assert.notMatch(out + err, /[\u0000-\u0009\u000b-\u001f\u202e\u200b]/)
        const json = yield* read("show", "\u202ename", "--version", version, "--json")
        assert.strictEqual(JSON.parse(json.out).text, hostile)
      })
    )
  })
})
