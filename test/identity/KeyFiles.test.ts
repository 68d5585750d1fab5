import { spawn } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { loadKeyFile } from "../../src/layers/keys/KeyFile.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { pathFor, variableSuffix } from "../../src/schema/KeyAddress.ts"
import { publicKeyOf } from "../../src/services/Ed25519.ts"
import { anySigner } from "./Keys.ts"

const directory = mkdtempSync(join(tmpdir(), "effect-governance-keys-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const pathOf = (name: string) => join(directory, name)
const put = (name: string, text: string | Uint8Array, mode = 0o600) => {
  writeFileSync(pathOf(name), text, { mode })
  chmodSync(pathOf(name), mode)
  return pathOf(name)
}
const problemOf = (path: string) =>
  Result.match(loadKeyFile(path), { onFailure: (problem) => problem, onSuccess: () => null })

describe("a key file", () => {
  it("is made at first use, for its owner alone, and stays what it is (IDN-08)", () => {
    const path = join(directory, "deep", "er", "clerk.pem")
    const first = Result.getOrThrow(loadKeyFile(path))
    assert.strictEqual(statSync(path).mode & 0o777, 0o600)
    assert.strictEqual(statSync(join(directory, "deep")).mode & 0o777, 0o700)
    assert.deepStrictEqual(publicKeyOf(Result.getOrThrow(loadKeyFile(path))), publicKeyOf(first))
    assert.deepStrictEqual(readdirSync(join(directory, "deep", "er")), ["clerk.pem"])
  })

  it("is refused when others may read, write or run it, and never replaced (K-09)", () => {
    const pem = anySigner("clerk").pem
    for (const mode of [0o644, 0o640, 0o604, 0o660, 0o666, 0o601, 0o700]) {
      const path = put(`mode-${mode}`, pem, mode)
      assert.strictEqual(problemOf(path), "permissions", mode.toString(8))
      assert.strictEqual(readFileSync(path, "utf8"), pem)
    }
    for (const mode of [0o600, 0o400]) assert.isNull(problemOf(put(`mode-${mode}`, pem, mode)), mode.toString(8))
  })

  it("is refused when it is cut, of another kind, encrypted, public, empty or no key at all (K-09)", () => {
    const { pem } = anySigner("clerk")
    const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey.export({ format: "pem", type: "pkcs8" })
    const x = generateKeyPairSync("x25519").privateKey.export({ format: "pem", type: "pkcs8" })
    const pair = generateKeyPairSync("ed25519")
    const locked = pair.privateKey.export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "secret" })
    const shown = pair.publicKey.export({ format: "pem", type: "spki" })
    for (let cut = 0; cut < pem.length - 2; cut += 7) {
      assert.strictEqual(problemOf(put("cut", pem.slice(0, cut))), "malformed", String(cut))
    }
    for (const [name, text, problem] of [
      ["rsa", rsa, "wrongKind"],
      ["x25519", x, "wrongKind"],
      ["locked", locked, "malformed"],
      ["public", shown, "malformed"],
      ["noise", Buffer.alloc(10_000_000, 7), "malformed"]
    ] as const) {
      assert.strictEqual(problemOf(put(name, text)), problem, name)
    }
    mkdirSync(pathOf("folder"))
    assert.strictEqual(problemOf(pathOf("folder")), "permissions")
    assert.strictEqual(problemOf(join(put("file", pem), "below")), "unreadable")
  })

  it.live(
    "that a process may not read or make is unreadable, as any user but root sees it (K-09, EACCES)",
    ({ skip }) =>
      Effect.gen(function* () {
        if (process.getuid?.() !== 0) return skip("needs root, to become somebody else")
        const home = mkdtempSync(join(tmpdir(), "effect-governance-eacces-"))
        chmodSync(home, 0o755)
        writeFileSync(join(home, "root.pem"), anySigner("clerk").pem, { mode: 0o600 })
        const found = yield* child(
          [`${home}/root.pem`, `${home}/new.pem`].map((path) => JSON.stringify(path)).join(","),
          65_534
        )
        rmSync(home, { recursive: true })
        if (found.startsWith("cannot start")) return skip(`another user cannot run this Node here: ${found}`)
        assert.deepStrictEqual(JSON.parse(found), ["unreadable", "unreadable"])
      })
  )

  it.live("is one key however many processes start at once (IDN-08)", () =>
    Effect.gen(function* () {
      const path = JSON.stringify(join(directory, "race", "clerk.pem"))
      const keys = yield* Effect.forEach(Array.from({ length: 6 }), () => child(path), { concurrency: "unbounded" })
      assert.strictEqual(new Set(keys).size, 1, keys.join("\n"))
      assert.match(keys[0]!, /^\["[0-9a-f]{64}"\]$/)
      assert.deepStrictEqual(readdirSync(join(directory, "race")), ["clerk.pem"])
    })
  )

  it("of an agent with a hostile name stays one file in its directory", () => {
    const hash = () => new Uint8Array(32).fill(1)
    const hostile = [
      "../../etc/passwd",
      "..",
      ".",
      "a/b",
      "a\\b",
      "%2e%2e",
      "CON",
      "x".repeat(256),
      "\u{1f600}".repeat(100)
    ]
    const paths = hostile.map((name) => pathFor("/keys/{agent}.pem", AgentId.make(name), hash))
    for (const path of paths) assert.match(path, /^\/keys\/[A-Za-z0-9%_-]{1,128}\.pem$/)
    assert.strictEqual(paths[1], "/keys/%2E%2E.pem")
    assert.strictEqual(pathFor("/{agent}", AgentId.make("$&$1"), hash), "/%24%26%241")
    assert.strictEqual(variableSuffix(AgentId.make("billing-agent")), "BILLING_AGENT")
  })
})

const program = (paths: string) =>
  `import { loadKeyFile } from ${JSON.stringify(new URL("../../src/layers/keys/KeyFile.ts", import.meta.url).href)}
   import { publicKeyOf } from ${JSON.stringify(new URL("../../src/services/Ed25519.ts", import.meta.url).href)}
   console.log(JSON.stringify([${paths}].map((path) => {
     const found = loadKeyFile(path)
     return found._tag === "Success" ? Buffer.from(publicKeyOf(found.success)).toString("hex") : found.failure
   })))`

/** Loads keys in a process of its own, as another user if one is given, and returns what it printed. */
const child = (paths: string, uid?: number) =>
  Effect.callback<string>((resume) => {
    const running = spawn(process.execPath, ["--input-type=module", "-e", program(paths)], {
      stdio: ["ignore", "pipe", "pipe"],
      cwd: "/",
      ...(uid === undefined ? {} : { uid, gid: uid })
    })
    let [out, err] = ["", ""]
    running.stdout.on("data", (part) => {
      out += part
    })
    running.stderr.on("data", (part) => {
      err += part
    })
    running.once("error", (error) => resume(Effect.succeed(`cannot start: ${error.message}`)))
    running.once("close", (code) =>
      resume(Effect.succeed(code === 0 ? out.trim() : `cannot start: ${err.slice(0, 300)}`))
    )
  })
