import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { sealed } from "../../src/schema/Marked.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { governance, memory } from "./InProcess.ts"

const asked = (payload: unknown = { usd: "5" }, kind = "refund") =>
  Effect.gen(function* () {
    yield* (yield* Presence).heartbeat("clerk", { operatorId: "olga" })
    return yield* (yield* Gates).request(kind, "clerk", payload, { sessionId: "s1" })
  })
const reviewer = ["--by", "rita"]

describe("governance approvals, grant, deny (CLI-06, FWD-11)", () => {
  it.effect("shows a card with what is asked, by whom, and the line that grants it", () =>
    Effect.gen(function* () {
      const { token, requestId } = yield* asked()
      const { code, out } = yield* governance(["approvals"])
      assert.strictEqual(code, 0)
      for (const part of ["refund by clerk", `{"usd":"5"}`, "s1", "olga", requestId, `governance grant ${token}`]) {
        assert.include(out, part)
      }
      const rows: ReadonlyArray<{ readonly token: string }> = JSON.parse(
        (yield* governance(["approvals", "--json"])).out
      )
      assert.deepStrictEqual(
        rows.map((row) => row.token),
        [token]
      )
      assert.include((yield* governance(["approvals", "--agent", "nobody"])).out, "Nothing waits")
    }).pipe(Effect.provide(memory))
  )

  it.effect(
    "names sealed arguments as such, never their ciphertext, and lets nobody pretend; they can be granted (BEY-12)",
    () =>
      Effect.gen(function* () {
        const fake = '{"$sealed":{"ct":"AAAA","key":"k","nonce":"n","v":1}}'
        const { token } = yield* asked({ usd: "5", to: sealed("eva", "DE89 3704"), note: fake, $sealed: { ct: "x" } })
        const { out } = yield* governance(["approvals"])
        assert.include(out, `"to":<sealed>,"usd":"5"}`)
        assert.include(out, `"$$sealed":{"ct":"x"}`)
        assert.include(out, `"note":"{\\"$sealed\\":{`)
        assert.strictEqual(out.match(/<sealed>/g)?.length, 1)
        assert.notInclude(out, "DE89")
        const { code } = yield* governance(["grant", token, ...reviewer])
        assert.strictEqual(code, 0)
        assert.include((yield* governance(["approvals", "--all"])).out, "<sealed>")
      }).pipe(Effect.provide(memory))
  )

  it.effect("grants once; the second time it says what the request is, with exit code 1 (GAT-02)", () =>
    Effect.gen(function* () {
      const { requestId, token } = yield* asked()
      const granted = yield* governance(["grant", token, ...reviewer, "--reason", "looks right"])
      assert.deepStrictEqual([granted.code, granted.out], [0, "Granted: refund by clerk. It may run once.\n"])
      yield* (yield* Gates).waitFor(requestId)
      const again = yield* governance(["grant", token, ...reviewer])
      assert.strictEqual(again.code, 1)
      assert.include(again.err, "already resolved: granted")
      assert.include((yield* governance(["approvals", "--all"])).out, "granted")
    }).pipe(Effect.provide(memory))
  )

  it.effect("denies, also with the token on standard input", () =>
    Effect.gen(function* () {
      const { token } = yield* asked()
      const denied = yield* governance(["deny", "-", ...reviewer], { stdin: `${token}\n` })
      assert.deepStrictEqual([denied.code, denied.out], [0, "Denied: refund by clerk.\n"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("grants with other arguments, from the line or a file, and says so (BEY-10)", () =>
    Effect.gen(function* () {
      const { requestId, token } = yield* asked()
      const edited = yield* governance(["grant", token, ...reviewer, "--arguments", `{"usd":"1"}`])
      assert.include(edited.out, "with your arguments. It may run once, if its program takes arguments")
      assert.include(edited.out, "under plain `governed` it is refused")
      const [row] = yield* (yield* Gates).list({ which: "granted" })
      assert.deepStrictEqual([row?.gate.requestId, row?.gate.editedPayload], [requestId, `{"usd":"1"}`])
      yield* asked({ usd: "7" }, "payout")
      const piped = (yield* governance(["approvals", "--all"])).out
      assert.include(piped, requestId)
      assert.include(piped, '  asked for {"usd":"5"}\n  EDITED to {"usd":"1"}')
      assert.include(piped, '  arguments {"usd":"7"}')
      assert.match((yield* governance(["grant", "--help"])).out, /Gates\.requireApproval/)
    }).pipe(Effect.provide(memory))
  )

  it.effect("notes one of two approvals and says what is missing; one person is not two (T-17)", () =>
    Effect.gen(function* () {
      yield* (yield* Policies).register("clerk", "gate", { requireApproval: ["refund"], quorum: 2 })
      const { token } = yield* asked()
      assert.include((yield* governance(["grant", token, ...reviewer])).out, "needs 1 more person")
      assert.include((yield* governance(["approvals"])).out, "2 approvals, has 1")
      const twice = yield* governance(["grant", token, "--by", "RITA "])
      assert.deepStrictEqual([twice.code, twice.err.includes("approved the request already")], [1, true])
      assert.include((yield* governance(["grant", token, "--by", "sam"])).out, "Granted")
    }).pipe(Effect.provide(memory))
  )

  for (const [what, args, code, said] of [
    ["no token", ["grant", "rubbish", ...reviewer], 1, "not accepted"],
    ["an empty token", ["grant", "", ...reviewer], 1, "not accepted"],
    ["10 MB for a token", ["deny", "x".repeat(100_000), ...reviewer], 1, "not accepted"],
    ["too much on standard input", ["grant", "-", ...reviewer], 2, "larger than"],
    ["arguments that are no JSON", ["grant", "x", "--arguments", "{usd:5}", ...reviewer], 2, "is no JSON"],
    ["a file that is not there", ["grant", "x", "--arguments", "@/nowhere/x.json", ...reviewer], 2, "cannot be read"],
    ["an empty name", ["grant", "x", "--by", ""], 2, "by"],
    ["no token at all", ["grant"], 2, "token"],
    ["an agent without a name", ["approvals", "--agent", ""], 2, "agent"]
  ] as const) {
    it.effect(`refuses ${what} with code ${code} and one clear line, and decides nothing`, () =>
      Effect.gen(function* () {
        yield* asked()
        const ran = yield* governance(args, { stdin: "y".repeat(10_000) })
        assert.deepStrictEqual([ran.code, ran.out], [code, ""])
        assert.include(ran.err, said)
        assert.strictEqual((yield* (yield* Gates).list()).length, 1)
      }).pipe(Effect.provide(memory))
    )
  }

  it.effect("shows hostile arguments and names safely, clipped, with the hash of the whole (T-13)", () =>
    Effect.gen(function* () {
      const hostile = "\u202Egnp.exe\u001b[2J\u001b]8;;http://evil\u0007\u200b<b>[x](y)\u0000"
      yield* asked({ note: hostile, long: "z".repeat(50_000) }, `pay ${hostile}`)
      for (const args of [["approvals"], ["approvals", "--all"], ["approvals", "--json"]]) {
        const { out } = yield* governance(args)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
        assert.notMatch(out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e]/)
      }
      const { out } = yield* governance(["approvals"])
      assert.match(out, /\(\+\d+ characters\)/)
      assert.isBelow(out.length, 4000)
    }).pipe(Effect.provide(memory))
  )

  it.effect(
    "shows every hostile name safely: agent, session, operator, claim, approver and reason, 10 MB of it (T-13)",
    () =>
      Effect.gen(function* () {
        const hostile = "x\u202Egnp\u200b\u2066\u0085\u001b[2J<b>"
        const big = hostile.repeat(1_000_000)
        const agent = `clerk ${hostile}`
        yield* (yield* Presence).heartbeat(agent, { operatorId: `olga ${hostile}` })
        yield* (yield* Policies).register(agent, "gate", { requireApproval: ["refund"], quorum: 2 })
        const gates = yield* Gates
        const asked = yield* gates.request("refund", agent, { usd: "5" }, { sessionId: `s ${hostile}` })
        yield* gates.claim(asked.requestId, { by: "rita", from: null, to: `rita ${hostile}` })
        const shown: Array<string> = []
        const show = (args: ReadonlyArray<string>) =>
          Effect.map(governance(args, { terminal: [] }), ({ code, err, out }) => {
            shown.push(out, err)
            return code
          })
        for (const args of [["approvals"], ["approvals", "--all"]]) yield* show(args)
        assert.strictEqual(yield* show(["grant", asked.token, "--by", `tom ${hostile}`, "--reason", big]), 0)
        assert.strictEqual(
          yield* show([
            "grant",
            asked.token,
            "--by",
            `ann ${hostile}`,
            "--arguments",
            JSON.stringify({ [hostile]: 1 })
          ]),
          0
        )
        assert.strictEqual(yield* show(["deny", asked.token, "--by", `sam ${hostile}`, "--reason", big]), 0)
        for (const args of [
          ["approvals", "--all"],
          ["approvals", "--all", "--json"]
        ])
          yield* show(args)
        for (const text of shown) {
          // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
          assert.notMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e\u2066]/)
          assert.isBelow(text.length, 10_000)
        }
        assert.include(shown.join(""), "claimed by")
      }).pipe(Effect.provide(memory))
  )

  it.effect("says below the cards how to refuse and how to change, and who one is", () =>
    Effect.gen(function* () {
      yield* asked()
      const { out } = yield* governance(["approvals"])
      for (const part of ["--by", "governance deny TOKEN", "--arguments"]) assert.include(out, part)
      assert.notInclude(out, "Only the newest")
    }).pipe(Effect.provide(memory))
  )

  it.effect("--all fits a terminal of 80 columns, with short ids and every other column readable", () =>
    Effect.gen(function* () {
      const { requestId, token } = yield* asked({ note: "n".repeat(300) }, "refund_order")
      yield* governance(["grant", token, "--by", "rita.reviewer", "--arguments", `{"note":"${"m".repeat(300)}"}`])
      const { out } = yield* governance(["approvals", "--all"], { terminal: [] })
      for (const line of out.split("\n")) assert.isAtMost(line.length, 80)
      for (const part of [requestId.slice(0, 16), "granted", "clerk", "refund_order", "rita.reviewer", "EDITED to"]) {
        assert.include(out, part)
      }
      assert.notInclude(out, requestId)
    }).pipe(Effect.provide(memory))
  )

  it.effect("records each attempt that was refused, without its token (GAT-02, T-11)", () =>
    Effect.gen(function* () {
      const { token } = yield* asked()
      yield* governance(["grant", `${token.slice(0, -1)}${token.endsWith("0") ? "1" : "0"}`, ...reviewer])
      yield* governance(["grant", token, "--by", "olga"])
      const events = yield* (yield* Audit).getEvents({ kinds: ["approval.token_rejected"] })
      assert.deepStrictEqual(events.map(({ metadata }) => JSON.parse(JSON.stringify(metadata)).problem).sort(), [
        "not_accepted",
        "own_agent"
      ])
      assert.notInclude(JSON.stringify(events), token.slice(-20))
    }).pipe(Effect.provide(memory))
  )
})
