import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Memory from "../../src/layers/Memory.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import {
  knownKeys,
  localFailure,
  type SignatureStatus,
  statusOf,
  verdictAfter,
  verdictBefore
} from "../../src/schema/SignatureStatus.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { governed } from "../../src/services/Governor.ts"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { anyChain } from "../audit/Chains.ts"
import { anySigner } from "./Keys.ts"

const world = (options: GovernanceOptions) => Memory.layer({ signingKeys: null, warnOnNoWrappers: false, ...options })
const call = Effect.gen(function* () {
  const scope = yield* AgentScope
  yield* scope.register({ agentId: "clerk", allowedTools: ["*"] })
  return yield* Effect.succeed("done").pipe(governed({ agentId: "clerk", tool: "read" }))
})
const missing = "env://GOVERNANCE_NOT_SET"

describe("an agent whose key cannot be used", () => {
  it.live(
    "goes on working with `degrade`; its rows say that they could not be signed, and they are counted (IDN-04, K-09)",
    () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* call, "done")
        const audit = yield* Audit
        const { signatures, verdict } = yield* audit.report({ chain: "agent:clerk" })
        assert.deepStrictEqual([verdict, signatures], ["ok", { unsigned_local_failure: 2 }])
        assert.strictEqual((yield* audit.stats).unsignedLocalFailures, 2)
      }).pipe(Effect.provide(world({ agentKeys: { clerk: missing } })))
  )

  it.live(
    "may not act with `require`: a named one keeps the process from starting, another is refused each call (K-09)",
    () =>
      Effect.gen(function* () {
        const start = Layer.build(world({ agentKeys: { clerk: missing }, signingPolicy: "require" }))
        assert.strictEqual((yield* Effect.flip(Effect.scoped(start)))._tag, "AgentKeyUnusable")
        const refused = call.pipe(
          Effect.flip,
          Effect.provide(world({ signingKeys: "env://", signingPolicy: "require" }))
        )
        assert.deepInclude(yield* refused, {
          _tag: "AgentKeyUnusable",
          problem: "missing",
          source: "GOVERNANCE_AGENT_KEY_CLERK"
        })
        const signed = call.pipe(Effect.provide(world({ signingKeys: "ephemeral", signingPolicy: "require" })))
        assert.strictEqual(yield* signed, "done")
      })
  )
})

describe("the status of a row", () => {
  const signer = anySigner("clerk")
  const clerk = AgentId.make("clerk")
  const key = {
    agentId: clerk,
    fingerprint: signer.fingerprint,
    publicKey: signer.publicKey,
    proof: new Uint8Array(64),
    activationSeq: 1,
    registeredAtMs: 1000,
    revocation: { reason: "x", revokedBy: "ada", revokedAtMs: 2000, eventId: null }
  }
  const keys = knownKeys([key])
  const [any] = anyChain(() => 0.5, 1)
  const row = (changes: Partial<ChainRow>): ChainRow => ({
    ...any!,
    agent: clerk,
    atMs: 1500,
    signer: null,
    signature: null,
    ...changes
  })
  const signature = new Uint8Array(64)

  it("is one of seven, by signer, signature, verdict and time (IDN-05, OQ-05)", () => {
    const mine = { signer: signer.fingerprint, signature }
    const table: ReadonlyArray<readonly [ChainRow, Parameters<typeof statusOf>[2], SignatureStatus]> = [
      [row({ atMs: 999 }), undefined, "legacy_unsigned"],
      [row({ atMs: 1000 }), undefined, "unsigned"],
      [row({ agent: AgentId.make("teller") }), undefined, "legacy_unsigned"],
      [row({ signature }), undefined, "invalid_signature"],
      [row({ signer: localFailure }), undefined, "unsigned_local_failure"],
      [row({ signer: localFailure, signature }), "valid", "invalid_signature"],
      [row({ signer: signer.fingerprint }), undefined, "invalid_signature"],
      [row(mine), undefined, "unknown_key"],
      [row(mine), "valid", "signed"],
      [row(mine), "invalid", "invalid_signature"],
      [row(mine), "revoked", "revoked_key"],
      [row(mine), "unknown", "unknown_key"]
    ]
    for (const [each, verdict, status] of table) assert.strictEqual(statusOf(each, keys, verdict), status)
  })

  it("is decided without a signature where the key is unknown or another agent's, and by time where it was revoked (IDN-06)", () => {
    const mine = { signer: signer.fingerprint, signature }
    assert.strictEqual(verdictBefore(row({ ...mine, signer: "f".repeat(64) }), keys), "unknown")
    assert.strictEqual(verdictBefore(row({ ...mine, agent: AgentId.make("teller") }), keys), "invalid")
    assert.isUndefined(verdictBefore(row(mine), keys))
    assert.strictEqual(verdictAfter(row({ ...mine, atMs: 2000 }), keys), "valid")
    assert.strictEqual(verdictAfter(row({ ...mine, atMs: 2001 }), keys), "revoked")
  })
})
