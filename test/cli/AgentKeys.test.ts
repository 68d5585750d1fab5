import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { AgentId } from "../../src/schema/Ids.ts"
import { AgentKeyStore } from "../../src/services/AgentKeyStore.ts"
import { anySigner } from "../identity/Keys.ts"
import { governance, memory } from "./InProcess.ts"

const directory = mkdtempSync(join(tmpdir(), "effect-governance-cli-keys-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const put = (name: string, text: string) => {
  writeFileSync(join(directory, name), text, { mode: 0o600 })
  return join(directory, name)
}
const keys = (...args: ReadonlyArray<string>) => governance(["agents", "keys", ...args])
const asJson = (out: string) => JSON.parse(out)

layer(memory)("governance agents keys", (it) => {
  it.effect("registers a key whose owner proves to have it, lists it, and revokes it once (IDN-06, K-10)", () =>
    Effect.gen(function* () {
      const signer = anySigner("clerk")
      const file = put("clerk.pub", Buffer.from(signer.publicKey).toString("hex"))
      assert.deepStrictEqual((yield* keys()).out, "No agent has registered a key.\n")
      const asked = yield* keys("challenge", "clerk", "--public-key", file)
      assert.strictEqual(asked.code, 0)
      const text = Buffer.from(asked.out.trim(), "base64").toString("utf8")
      assert.include(text, '"chain":"agent:clerk"')
      const proof = put("clerk.sig", `${Buffer.from(signer.sign(text)).toString("base64")}\n`)
      const wrong = yield* keys("add", "teller", "--public-key", file, "--proof", proof, "--by", "ada")
      assert.deepStrictEqual([wrong.code, wrong.out], [1, ""])
      assert.include(wrong.err, "proof of possession")
      const added = yield* keys("add", "clerk", "--public-key", file, "--proof", proof, "--by", "ada", "--json")
      assert.deepInclude(asJson(added.out), { agentId: "clerk", activationSeq: 1, added: true })
      const again = yield* keys("add", "clerk", "--public-key", file, "--proof", proof, "--by", "ada", "--json")
      assert.deepInclude(asJson(again.out), { activationSeq: 1, added: false })
      assert.include((yield* keys("list")).out, signer.fingerprint)

      const reason = "stolen \u001b[31m\u202e"
      const revoked = yield* keys("revoke", signer.fingerprint, "--reason", reason, "--by", "ada")
      assert.strictEqual(revoked.code, 0)
      assert.notInclude(revoked.out, "\u001b")
      assert.notInclude(revoked.out, "\u202e")
      assert.include(revoked.out, "another key")
      assert.include((yield* keys("revoke", signer.fingerprint, "--reason", "x", "--by", "bob")).out, "Nothing changed")
      const refused = yield* keys("add", "clerk", "--public-key", file, "--proof", proof, "--by", "ada")
      assert.strictEqual(refused.code, 1)
      assert.include(refused.err, "revoked")
      const listed = asJson((yield* governance(["agents", "keys", "--json"])).out)
      assert.deepInclude(listed[0].revocation, { revokedBy: "ada", reason })
      const narrow = (yield* governance(["agents", "keys"], { terminal: [] })).out
      for (const line of narrow.split("\n").slice(0, 2)) assert.isAtMost(line.length, 80)
      assert.include(narrow, signer.fingerprint.slice(0, 16))
      assert.notInclude(narrow, signer.fingerprint)
      assert.include(narrow, "`governance agents keys --json` has them whole")
      const { out } = yield* governance(["verify", "--chain", "operator"])
      assert.include(out, "ok: 2 rows")
    })
  )

  it.effect("makes a key file where there is none, and says nothing of what is in it (IDN-08, K-12)", () =>
    Effect.gen(function* () {
      const uri = `file://${join(directory, "made", "teller.pem")}`
      const made = yield* keys("add", "teller", "--key-uri", uri, "--by", "ada")
      assert.deepStrictEqual([made.code, made.err], [0, ""])
      assert.match(made.out, /^Registered key [0-9a-f]{64} \(number 1\) of teller\.\n$/)
      const shared = yield* keys("add", "other", "--key-uri", uri, "--by", "ada")
      assert.strictEqual(shared.code, 1)
      assert.include(shared.err, "another agent")
      assert.strictEqual((yield* governance(["agents"])).code, 0)
    })
  )

  it.effect("shows a key that nobody proved to have as void, whoever put it there (K-10)", () =>
    Effect.gen(function* () {
      const { fingerprint, publicKey } = anySigner("ghost")
      const store = yield* AgentKeyStore
      yield* store.add({ agentId: AgentId.make("ghost"), fingerprint, publicKey, proof: new Uint8Array(64) })
      assert.match((yield* keys("list")).out, /ghost .*never proved: void/)
      const listed: ReadonlyArray<{ agentId: string; proved: boolean }> = asJson((yield* keys("list", "--json")).out)
      assert.deepStrictEqual(
        listed.map(({ agentId, proved }) => [agentId, proved]),
        [
          ["clerk", true],
          ["ghost", false],
          ["teller", true]
        ]
      )
    })
  )

  it.effect("refuses what it cannot use with a sentence and without a trace of a secret (K-10, K-12, L-06)", () =>
    Effect.gen(function* () {
      const { pem } = anySigner("x")
      const secret = pem.split("\n")[1]!
      const good = put("good.pub", Buffer.from(anySigner("x").publicKey).toString("hex"))
      const signature = put("any.sig", Buffer.alloc(64, 1).toString("base64"))
      const cases: ReadonlyArray<readonly [code: number, said: string, args: ReadonlyArray<string>]> = [
        [2, "Give either", ["add", "x"]],
        [2, "Give either", ["add", "x", "--public-key", good]],
        [2, "Give either", ["add", "x", "--key-uri", "ephemeral", "--public-key", good, "--proof", signature]],
        [2, "gone with this command", ["add", "x", "--key-uri", "ephemeral"]],
        [2, "none of file://PATH", ["add", "x", "--key-uri", secret]],
        [2, "names no variable", ["add", "x", "--key-uri", `env://${secret}`]],
        [2, "cannot be used: there is none", ["add", "x", "--key-uri", "env://NOT_SET_HERE"]],
        [2, "is a private key", ["add", "x", "--public-key", put("p.pem", pem), "--proof", signature]],
        [2, "holds no public key", ["add", "x", "--public-key", put("n.pem", "nonsense"), "--proof", signature]],
        [2, "no base64", ["add", "x", "--public-key", good, "--proof", put("n.sig", "%%%")]],
        [2, "no base64", ["add", "x", "--public-key", good, "--proof", put("s.sig", "AAAA")]],
        [2, "larger than", ["add", "x", "--public-key", put("big", "a".repeat(20_000)), "--proof", signature]],
        [2, "cannot be read", ["challenge", "x", "--public-key", join(directory, "nowhere")]],
        [1, "small order", ["challenge", "x", "--public-key", put("small", `01${"00".repeat(31)}`)]],
        [1, "another way", ["challenge", "x", "--public-key", put("over", `ff${"ff".repeat(30)}7f`)]],
        [1, "proof of possession", ["add", "x", "--public-key", good, "--proof", signature]],
        [2, "all 64 hex digits", ["revoke", "abcd", "--reason", "x"]],
        [1, "no key with this fingerprint", ["revoke", "0".repeat(64), "--reason", "x"]]
      ]
      for (const [code, said, args] of cases) {
        const ran = yield* keys(...args, ...(args[0] === "challenge" ? [] : ["--by", "ada"]))
        assert.deepStrictEqual([ran.code, ran.out], [code, ""], args.join(" "))
        assert.include(ran.err, said)
        assert.notInclude(ran.err, secret)
      }
    })
  )
})
