import { Effect } from "effect"
import { outward } from "./Outward.ts"
import type { Running } from "./Running.ts"

/** What of a service is for this library alone. Everything else is a method of the facade, and the type test holds it to that. */
export const hidden = {
  audit: ["submit", "submitNow", "requireInTransaction"],
  scope: ["room"],
  cost: ["hold"],
  gates: ["approvedFor", "standing"],
  compliance: ["examine"],
  agentKeys: ["enrol"],
  coverage: ["enclose", "governed"]
} as const

/**
 * The methods of a service as functions that return promises; `special` wins where the caller's own functions come in, or
 * more than one answer goes out.
 */
export const methodsOf = (
  service: object,
  left: ReadonlyArray<string>,
  special: object,
  running: Running<never>
): Record<string, unknown> => {
  const methods: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(service)) {
    if (!left.includes(name)) methods[name] = facing(member, running)
  }
  return Object.freeze(Object.assign(methods, special))
}

const facing =
  (member: unknown, running: Running<never>) =>
  (...given: ReadonlyArray<unknown>) => {
    const asked = typeof member === "function" ? () => member(...given) : () => member
    // The methods of services need nothing but what they have captured, so whatever they return runs in any runtime.
    const answer = Effect.suspend(() => {
      const returned: unknown = asked()
      return (Effect.isEffect(returned) ? returned : Effect.succeed(returned)) as Effect.Effect<unknown, unknown>
    })
    return running.promise(Effect.map(answer, outward))
  }
