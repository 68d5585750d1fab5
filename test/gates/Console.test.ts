import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { ActionHash } from "../../src/schema/GateRequest.ts"
import { parseToken } from "../../src/schema/GateToken.ts"
import * as GateKeys from "../../src/services/GateKeys.ts"
import { GateStore } from "../../src/services/GateStore.ts"
import { Gates } from "../../src/services/Gates.ts"
import { agentId, cards, clerk, world } from "./Gates.ts"

const refused = "refused by the page"
const by = "rita"

/** What a page of somebody's console does with what a browser posts for the card that it has shown (GAT-08). */
const post = Effect.fnUntraced(function* (
  shown: { readonly requestId: string; readonly actionHash: string },
  token: string,
  act: "grant" | "deny"
) {
  const parsed = Result.getOrNull(parseToken(token))
  if (parsed?.requestId !== shown.requestId || parsed.actionHash !== shown.actionHash) return refused
  const gates = yield* Gates
  return yield* Effect.match(gates[act](token, { by }), {
    onSuccess: ({ state }) => state as string,
    onFailure: (error) => (error._tag === "ApprovalTokenError" ? error.problem : error._tag)
  })
})

describe("A console on the SDK's own token parser (GAT-08, T-09, T-05, ERR-09)", () => {
  for (const act of ["grant", "deny"] as const) {
    it.effect(
      `refuses to ${act} with a changed signature, expiry, request or action, and then takes the true one`,
      () =>
        Effect.gen(function* () {
          yield* clerk()
          const keys = yield* GateKeys.make
          const deployment = yield* (yield* GateStore).deploymentId
          const gates = yield* Gates
          yield* gates.request("pay", agentId, { usd: "5" })
          yield* gates.request("pay", agentId, { usd: "6" })
          const [other, card] = yield* cards
          if (card === undefined || other === undefined) return assert.fail("no cards")
          const token = card.token ?? ""
          const genuine = (changes: object) => keys.tokenOf({ ...card.gate, ...changes }, deployment) ?? ""
          const swap = (part: string, by: string) => token.replace(part, by)
          const flipped = `${token.slice(0, -1)}${token.endsWith("0") ? "1" : "0"}`
          const foreign = ActionHash.make("a".repeat(64))
          for (const [what, text, expected] of [
            ["its signature changed", flipped, "not_accepted"],
            ["another expiry, by hand", token.replace(/:\d{4}-(?=\d\d-\d\dT)/, ":2999-"), "not_accepted"],
            ["another expiry, well signed", genuine({ expiresAtMs: card.gate.expiresAtMs + 1 }), "not_accepted"],
            ["the token of another request", other.token ?? "", refused],
            ["this request's id in another's token", swap(card.gate.requestId, other.gate.requestId), refused],
            ["another action, by hand", swap(card.gate.actionHash, foreign), refused],
            ["another action, well signed", genuine({ actionHash: foreign }), refused],
            ["no token", "", refused]
          ] as const) {
            assert.strictEqual(yield* post(card.gate, text, act), expected, what)
          }
          // A page that leaves its own look at the token out meets the stored request's.
          const shown = { requestId: card.gate.requestId, actionHash: foreign }
          assert.strictEqual(yield* post(shown, genuine({ actionHash: foreign }), act), "not_accepted")
          assert.strictEqual((yield* cards).length, 2)
          assert.strictEqual(yield* post(card.gate, token, act), act === "grant" ? "granted" : "denied")
          assert.strictEqual(yield* post(card.gate, token, act), "resolved")
        }).pipe(Effect.provide(world()))
    )
  }
})
