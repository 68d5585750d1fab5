import { spawn } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Context, Effect, Exit, Layer, Logger, Result } from "effect"
import * as IdentityLayer from "../../src/layers/Identity.ts"
import { loadKeyFile } from "../../src/layers/keys/KeyFile.ts"
import { parsePrivateKey, publicKeyOf } from "../../src/layers/keys/PrivateKey.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { pathFor, variableSuffix } from "../../src/schema/KeyAddress.ts"
import { localFailure } from "../../src/schema/SignatureStatus.ts"
import { Identity } from "../../src/services/Identity.ts"
import * as Settings from "../../src/services/Settings.ts"
import { anySigner } from "./Keys.ts"

const directory = mkdtempSync(join(tmpdir(), "effect-governance-keys-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const clerk = AgentId.make("clerk")
const pathOf = (name: string) => join(directory, name)
const put = (name: string, text: string | Uint8Array, mode = 0o600) => {
  writeFileSync(pathOf(name), text, { mode })
  chmodSync(pathOf(name), mode)
  return pathOf(name)
}
const problemOf = (path: string) =>
  Result.match(loadKeyFile(path), { onFailure: (problem) => problem, onSuccess: () => null })

const identityWith = (options: Settings.GovernanceOptions, env: Record<string, string> = {}) =>
  Effect.map(Layer.build(IdentityLayer.layer.pipe(Layer.provide(Settings.layer(options)))), (context) =>
    Context.get(context, Identity)
  ).pipe(Effect.scoped, Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })))

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

describe("a private key", () => {
  it("leaves nothing in the bytes it was read from (IDN-03)", () => {
    for (const text of [anySigner("clerk").pem, "-----BEGIN PRIVATE KEY-----\nMC4"]) {
      const bytes = new TextEncoder().encode(text)
      parsePrivateKey(bytes)
      assert.isTrue(bytes.every((byte) => byte === 0))
    }
  })

  it.effect(
    "comes from its agent's variable, as base64 of PEM or DER; two agents never sign with one key (CFG-05, IDN-03)",
    () =>
      Effect.gen(function* () {
        const { pem, fingerprint } = anySigner("billing-agent")
        const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64").toString("base64")
        for (const value of [Buffer.from(pem).toString("base64"), der, `${der.slice(0, 20)}\n${der.slice(20)}`]) {
          const identity = yield* identityWith({ signingKeys: null }, { GOVERNANCE_AGENT_KEY_BILLING_AGENT: value })
          assert.strictEqual(identity.signerOf?.(AgentId.make("billing-agent"))?.fingerprint, fingerprint)
          assert.isNull(identity.signerOf?.(AgentId.make("other")) ?? null)
          assert.strictEqual(identity.signerOf?.(AgentId.make("billing.agent"))?.fingerprint, localFailure)
          assert.strictEqual(identity.failures()[0]?.problem, "taken")
          assert.deepStrictEqual(identity.stats(), { signed: 0, failed: 1 })
        }
        for (const value of ["", "nonsense!", Buffer.from("nonsense").toString("base64")]) {
          const options = { agentKeys: { clerk: "env://CLERKS_KEY" } }
          const identity = yield* identityWith(options, { CLERKS_KEY: value })
          assert.strictEqual(identity.signerOf?.(clerk)?.fingerprint, localFailure)
          assert.strictEqual(identity.failures()[0]?.problem, value === "" ? "missing" : "malformed")
          const refused = yield* Effect.flip(
            identityWith({ ...options, signingPolicy: "require" }, { CLERKS_KEY: value })
          )
          assert.strictEqual(refused._tag, "AgentKeyUnusable")
        }
      })
  )

  it.effect("is asked for by an address that is one; test mode makes `auto` a key in memory (IDN-02, CFG-04)", () =>
    Effect.gen(function* () {
      for (const options of [
        { signingKeys: "file:///keys/clerk.pem" },
        { signingKeys: "env://ONE_FOR_ALL" },
        { signingKeys: "vault://clerk" },
        { agentKeys: { clerk: "" } },
        { agentKeys: { clerk: "file://" } },
        { agentKeys: { clerk: "env://lower case" } },
        { agentKeys: { "": "ephemeral" } }
      ]) {
        const refused = yield* Effect.flip(identityWith(options))
        assert.strictEqual(refused._tag, "ConfigurationError", JSON.stringify(options))
      }
      const auto = yield* identityWith({ signingKeys: "auto", testMode: true })
      assert.match(auto.signerOf?.(clerk)?.fingerprint ?? "", /^[0-9a-f]{64}$/)
      const real = yield* identityWith({ signingKeys: "auto", testMode: false })
      assert.strictEqual(real.signerOf?.(clerk)?.fingerprint, localFailure)
      assert.isNull((yield* identityWith({ signingKeys: null })).signerOf)
    })
  )

  it.effect("is never shown: not by inspect, JSON, errors, causes or logs (K-12, CFG-32)", () =>
    Effect.gen(function* () {
      const { pem } = anySigner("clerk")
      const value = Buffer.from(pem).toString("base64")
      const canaries = [
        pem.split("\n")[1]!,
        value.slice(40, 90),
        Buffer.from(pem.split("\n")[1]!, "base64").toString("hex").slice(32)
      ]
      const lines: Array<string> = []
      const sink = Logger.make(
        ({ cause, message }) => void lines.push(inspect(message, { depth: 9 }), Cause.pretty(cause))
      )
      const shown = (subject: unknown) =>
        [inspect(subject, { depth: 12, showHidden: true }), JSON.stringify(subject) ?? "", String(subject)].join("\n")
      const path = put("canary.pem", pem)
      const identity = yield* identityWith(
        { agentKeys: { clerk: `file://${path}`, teller: "env://TELLERS_KEY" } },
        { TELLERS_KEY: value }
      )
      assert.lengthOf(identity.signers(), 1)
      const exits = yield* Effect.forEach(
        [
          // The key where its address should be, a cut key, and a file that is open to others.
          identityWith({ agentKeys: { clerk: value } }),
          identityWith({ signingKeys: `env://${value}` }),
          identityWith({ agentKeys: { clerk: "env://K" }, signingPolicy: "require" }, { K: value.slice(0, 100) }),
          identityWith({ agentKeys: { clerk: `file://${put("open.pem", pem, 0o644)}` }, signingPolicy: "require" })
        ],
        (self) => Effect.exit(Effect.tapCause(self, (cause) => Effect.logError("refused", cause)))
      ).pipe(Effect.provide(Logger.layer([sink])))
      assert.isTrue(exits.every(Exit.isFailure))
      const causes = exits.flatMap((exit) =>
        Exit.isFailure(exit) ? [Cause.pretty(exit.cause), shown(exit.cause)] : []
      )
      const everything = [
        ...lines,
        ...causes,
        shown(identity),
        shown(identity.signers()),
        shown(identity.failures())
      ].join("\n")
      assert.isAbove(lines.length, 4)
      for (const canary of canaries) assert.notInclude(everything, canary)
    })
  )
})

const program = (paths: string) =>
  `import { loadKeyFile } from ${JSON.stringify(new URL("../../src/layers/keys/KeyFile.ts", import.meta.url).href)}
   import { publicKeyOf } from ${JSON.stringify(new URL("../../src/layers/keys/PrivateKey.ts", import.meta.url).href)}
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
