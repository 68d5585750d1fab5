import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { canonicalize } from "../../src/schema/CanonicalJson.ts"
import { checkRow, genesis, headOf, seal } from "../../src/schema/Chain.ts"
import type { ChainHead, ChainRow } from "../../src/schema/Envelope.ts"
import { AgentId, agentChain, KeyId } from "../../src/schema/Ids.ts"
import type { JsonObject } from "../../src/schema/Json.ts"
import { markerKind, markerText, placeAfter } from "../../src/schema/RotationMarker.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { isLate, markerBreaks, retire, retiredKeyGraceMs } from "../../src/services/RotationProof.ts"
import { newSecret, operatorDraft } from "./Processes.ts"

const keysOf = (secret: string, historic: ReadonlyArray<string> = []) =>
  ChainKeys.make({
    secret: Redacted.make(secret),
    historic: historic.map((one) => Redacted.make(one)),
    ephemeralAllowed: false
  })

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

/** Two keys, somebody who holds both, and a marker as whoever holds the outgoing key could write it. */
const scene = Effect.gen(function* () {
  const [older, newer] = [newSecret(), newSecret()]
  const old = yield* keysOf(older)
  const both = yield* keysOf(newer, [older])
  const [from, to] = [old.current.keyId, both.current.keyId]
  const draft = operatorDraft()
  const proofAt = (head: ChainHead) =>
    hex(both.macOf("rotation-marker")(markerText(placeAfter(head, draft.id), { version: 2, from, to })))
  const good = { version: 2, from, to, handedOver: true, by: "alice", reason: null, hmacNext: proofAt(genesis) }
  const marker = (metadata: JsonObject, head: ChainHead = genesis): ChainRow =>
    seal({ ...draft, kind: markerKind, metadataText: canonicalize(metadata) }, head, old.current)
  return { old, both, from, to, good, marker, proofAt }
})

const reasons = (row: ChainRow, keys: ChainKeys.ChainKeys["Service"]) =>
  markerBreaks(row, keys).map(({ problem, reason }) => [problem, reason])

describe("a rotation marker", () => {
  it.effect("is believed when both keys agree, wherever it stands as it was made (ROT-03)", () =>
    Effect.gen(function* () {
      const { both, good, marker, proofAt } = yield* scene
      assert.deepStrictEqual(reasons(marker(good), both), [])
      const head = headOf(seal(operatorDraft(), genesis, both.current))
      assert.deepStrictEqual(reasons(marker({ ...good, hmacNext: proofAt(head) }, head), both), [])
    })
  )

  it.effect(
    "is not, by whoever has the outgoing key alone: forged, replayed elsewhere, cut or renamed (K-04, ROT-07)",
    () =>
      Effect.gen(function* () {
        const { both, from, good, marker, old, to } = yield* scene
        const failed = [["rotation", "rotation_marker_dual_mac_failed"]]
        assert.deepStrictEqual(reasons(marker({ ...good, hmacNext: "00".repeat(32) }), both), failed)
        assert.deepStrictEqual(reasons(marker({ ...good, hmacNext: "" }), both), failed)
        assert.deepStrictEqual(reasons(marker({ ...good, version: 3 }), both), failed)
        // The same words after another row: the proof names its place.
        const head = headOf(seal(operatorDraft(), genesis, old.current))
        assert.deepStrictEqual(reasons(marker(good, head), both), failed)
        const forged = hex(old.macOf("rotation-marker")("whatever"))
        assert.deepStrictEqual(reasons(marker({ ...good, hmacNext: forged }), both), failed)

        const { hmacNext: _, ...silent } = good
        assert.deepStrictEqual(reasons(marker(silent), both), [["rotation", "rotation_marker_no_incoming_key"]])
        const { from: __, ...unversioned } = good
        const without = [["rotation", "rotation_marker_without_key_versions"]]
        assert.deepStrictEqual(reasons(marker(unversioned), both), without)
        assert.deepStrictEqual(reasons(marker({ ...good, from: to }), both), without)

        const other = KeyId.make("0".repeat(32))
        const [found] = markerBreaks(marker({ ...good, to: other }), both)
        assert.deepInclude(found, { problem: "unknownKey", keyId: other })
        assert.strictEqual(found?.reason, `rotation_marker_unresolved_incoming:${"0".repeat(16)}`)
        assert.strictEqual(from, old.current.keyId)
      })
  )

  it.effect("fails by its own HMAC once its words are changed without the outgoing key (K-04)", () =>
    Effect.gen(function* () {
      const { both, good, marker } = yield* scene
      const row = marker(good)
      const canonical = row.canonical.replace('"alice"', '"mallory"')
      const changed = { ...row, canonical, hash: both.hash(`effect-governance/audit/v1/hash\n${canonical}`) }
      const found = checkRow(changed, null, { hash: both.hash, macFor: both.macFor })
      assert.deepStrictEqual(
        found.map(({ problem }) => problem),
        ["hmac"]
      )
    })
  )

  it.effect("means nothing in an agent's chain, where any agent could write its words", () =>
    Effect.gen(function* () {
      const { both } = yield* scene
      const chain = agentChain(AgentId.make("mallory"))
      assert.deepStrictEqual(
        reasons(seal({ ...operatorDraft(), chain, kind: markerKind }, genesis, both.current), both),
        []
      )
    })
  )

  it.effect("with strange words is a fault and never a crash, field by field (T-13)", () =>
    Effect.gen(function* () {
      const { both, good, marker } = yield* scene
      const strange = [null, true, -1, 0, 2.5, 2 ** 53, "", "x", "\u202e", "0".repeat(32), "ff".repeat(32), [], {}]
      for (const field of ["version", "from", "to", "hmacNext"]) {
        for (const value of strange) {
          const found = markerBreaks(marker({ ...good, [field]: value }), both)
          assert.strictEqual(found.length, 1, `${field} ${JSON.stringify(value)}`)
        }
      }
      assert.deepStrictEqual(reasons(marker({ ...good, by: "\u202e\u0007".repeat(1000) }), both), [])
    })
  )
})

describe("a key that was taken out of use", () => {
  it.effect("seals no row later than the marker and its grace without being named (K-03)", () =>
    Effect.gen(function* () {
      const { both, good, marker, old } = yield* scene
      const retired = retire(new Map(), marker(good))
      const at = (atMs: number, keys = old) => seal({ ...operatorDraft(), atMs }, genesis, keys.current)
      assert.isFalse(isLate(at(retiredKeyGraceMs), retired))
      assert.isTrue(isLate(at(retiredKeyGraceMs + 1), retired))
      assert.isFalse(isLate(at(retiredKeyGraceMs + 1, both), retired))
      assert.isFalse(isLate(at(retiredKeyGraceMs + 1), new Map()))
    })
  )
})
