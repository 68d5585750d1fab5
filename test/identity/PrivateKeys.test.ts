import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Context, Effect, Exit, Layer, Logger } from "effect"
import * as IdentityLayer from "../../src/layers/Identity.ts"
import { parsePrivateKey } from "../../src/layers/keys/PrivateKey.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { localFailure } from "../../src/schema/SignatureStatus.ts"
import { Identity } from "../../src/services/Identity.ts"
import * as Settings from "../../src/services/Settings.ts"
import { anySigner } from "./Keys.ts"

const directory = mkdtempSync(join(tmpdir(), "effect-governance-private-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const clerk = AgentId.make("clerk")
const put = (name: string, text: string, mode = 0o600) => {
  writeFileSync(join(directory, name), text, { mode })
  chmodSync(join(directory, name), mode)
  return join(directory, name)
}

const identityWith = (options: Settings.GovernanceOptions, env: Record<string, string> = {}) =>
  Effect.map(Layer.build(IdentityLayer.layer.pipe(Layer.provide(Settings.layer(options)))), (context) =>
    Context.get(context, Identity)
  ).pipe(Effect.scoped, Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })))

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
