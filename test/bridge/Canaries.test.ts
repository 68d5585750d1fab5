import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Gates } from "../../src/services/Gates.ts"
import { governed } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { leaks } from "../../src/testing/Canaries.ts"
import { kinds, randomOf } from "../schema/SecretKinds.ts"
import { capture } from "../services/World.ts"
import { scripted } from "./Platform.ts"
import { bridged, settle, stats } from "./World.ts"

describe("secrets and the bridge", () => {
  it.effect(
    "61 kinds of secrets in every field that a caller controls, of events, calls, gates and decisions: none leaves (BRG-11, FWD-03, B-22, G11)",
    () =>
      Effect.gen(function* () {
        const platform = scripted()
        const lines = capture()
        const canaries: Record<string, string> = {}
        yield* Effect.gen(function* () {
          const audit = yield* Audit
          const gates = yield* Gates
          const scope = yield* AgentScope
          const policies = yield* Policies
          const presence = yield* Presence
          for (const [k, kind] of kinds.entries()) {
            const { secret, text } = kind.make(randomOf(4711 + k))
            // Only random words may pass for names (G11 wants 99 of 100); what is told apart by its form must never leave.
            if (kind.name.startsWith("a random word")) continue
            if (secret.length >= 8) canaries[kind.name] = secret
            const named = {
              agentId: `agent ${k} ${text}`.slice(0, 250),
              sessionId: `session ${k} ${text}`.slice(0, 250)
            }
            yield* audit.log({
              ...named,
              kind: `note ${text}`.slice(0, 120),
              model: `model ${text}`.slice(0, 120),
              metadata: {
                text,
                [text]: 1,
                nested: [{ deep: [text] }],
                url: `https://x.example/?q=${text}`,
                said: JSON.stringify({ text })
              }
            })
            const agentId = `agent-${k}`
            yield* scope.register({ agentId, allowedTools: ["*"] })
            yield* presence.heartbeat(agentId, { operatorId: "olga@example.org" })
            yield* policies.register(agentId, "gate", { requireApproval: ["pay"] })
            const call = { agentId, sessionId: named.sessionId, input: { text } }
            yield* Effect.ignore(Effect.fail(text).pipe(governed({ ...call, tool: `look ${text}`.slice(0, 200) })))
            const waiting = yield* Effect.forkChild(Effect.succeed(text).pipe(governed({ ...call, tool: "pay" })))
            yield* gates.request(`kind ${text}`.slice(0, 500), named.agentId, { text })
            yield* settle
            const cards = yield* gates.list({ agentId })
            for (const { token } of cards) {
              if (token !== null) {
                canaries[`token ${k}`] = token
                yield* gates.deny(token, { by: "rita@example.org", reason: `because ${text}` })
              }
            }
            yield* TestClock.adjust("1 second")
            yield* Fiber.await(waiting)
            yield* presence.halt(agentId, { by: "olga@example.org", reason: `stop ${text}` })
            yield* settle
          }
          yield* TestClock.adjust("1 minute")
          const counted = yield* stats
          assert.isAbove(counted.sent, kinds.length * 5)
          assert.isAbove(counted.gateForwardsSent, kinds.length)
          assert.isAbove(counted.localResolutionsSent, kinds.length / 2)
          assert.strictEqual(counted.dropped4xx + counted.dropped5xx + counted.droppedOverflow, 0)
        }).pipe(Effect.provide(bridged(platform)), Effect.provide(lines.layer))
        const bytes = (text: string) => new TextEncoder().encode(text)
        const left = platform.asked.map(({ body, method, path }) => ({
          name: `${method} ${path}`,
          bytes: bytes(`${path}\n${body}`)
        }))
        const said = lines.lines
          .filter(({ message }) => message.startsWith("platform."))
          .map(({ message }) => ({ name: "log", bytes: bytes(message) }))
        assert.isAbove(Object.keys(canaries).length, 50)
        assert.deepStrictEqual(leaks([...left, ...said], canaries), [])
        // The captures hold what they should, or nothing would be found in them.
        assert.isNotEmpty(leaks(left, { control: "tool.call" }))
      }),
    120_000
  )
})
