import { assert, describe, it } from "@effect/vitest"
import type { Brand, DateTime, Duration, Effect, Option, Redacted, Schema, Stream } from "effect"
import type { Bridge } from "../../src/bridge/Bridge.ts"
import * as Governance from "../../src/index.ts"
import type { Time } from "../../src/promise/Call.ts"
import * as Errors from "../../src/promise/Errors.ts"
import type * as Facade from "../../src/promise/Governance.ts"
import { Governance as Started } from "../../src/promise/Governance.ts"
import type { Json } from "../../src/promise/Json.ts"
import { hidden } from "../../src/promise/Methods.ts"
import type { Modules } from "../../src/promise/Modules.ts"
import type { AuditRecord as StoredRecord } from "../../src/schema/AuditRecord.ts"
import type { Usage as ServiceUsage } from "../../src/schema/Call.ts"
import type { CallOptions } from "../../src/schema/CallPlan.ts"
import type { GovernanceConfig } from "../../src/schema/GovernanceConfig.ts"
import type { PolicyInput, PolicyKind } from "../../src/schema/Policy.ts"
import type { RetentionRefused } from "../../src/schema/RetentionError.ts"

/** The services behind the modules. A module that has no service here, or a service without a module, does not compile. */
interface Services {
  readonly audit: Governance.Audit.Audit["Service"]
  readonly scope: Governance.AgentScope.AgentScope["Service"]
  readonly cost: Governance.Cost.Cost["Service"]
  readonly gates: Governance.Gates.Gates["Service"]
  readonly loop: Governance.Loop.Loop["Service"]
  readonly presence: Governance.Presence.Presence["Service"]
  readonly contracts: Governance.Contracts.Contracts["Service"]
  readonly policies: Governance.Policies.Policies["Service"]
  readonly pricing: Governance.Pricing.Pricing["Service"]
  readonly prompts: Governance.Prompts.Prompts["Service"]
  readonly compliance: Governance.Compliance.Compliance["Service"]
  readonly bundles: Governance.Bundles.Bundles["Service"]
  readonly erasure: Governance.Erasure.Erasure["Service"]
  readonly legalHolds: Governance.LegalHolds.LegalHolds["Service"]
  readonly retention: Governance.Retention.Retention["Service"]
  readonly checkpoints: Governance.Checkpoints.Checkpoints["Service"]
  readonly agentKeys: Governance.AgentKeys.AgentKeys["Service"]
  readonly routing: Governance.Routing.Routing["Service"]
  readonly coverage: Governance.Coverage.Coverage["Service"]
  readonly platform: Bridge["Service"]
}

/** Methods that take functions of the caller's, or are generic: their names are held, their behaviour is tested. */
interface Special {
  readonly audit: "track" | "report" | "subscribe" | "tail"
  readonly scope: "filterTools" | "requireTool"
  readonly gates: "waitFor"
  readonly contracts: "registerCheck" | "enforce"
  readonly policies: "register" | "get"
  readonly pricing: "price"
  readonly bundles: "write"
  readonly retention: "plan" | "prune"
  readonly checkpoints: "examine"
  readonly coverage: "send"
}

type Hidden<K> = K extends keyof typeof hidden ? (typeof hidden)[K][number] : never
type SpecialOf<K> = K extends keyof Special ? Special[K] : never
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** A type as somebody expects it who has never seen Effect. Both sides are put through it, so that only the meaning counts. */
type Plain<T> = unknown extends T
  ? unknown
  : [T] extends [Duration.Input]
    ? [Duration.Input] extends [T]
      ? Time
      : Flat<T>
    : [T, Schema.Json] extends [Schema.Json, T]
      ? Json
      : Flat<T>
type Flat<T> =
  T extends Option.Option<infer A>
    ? Plain<A> | undefined
    : T extends Brand.Brand<string>
      ? T extends string
        ? string
        : T extends bigint
          ? bigint
          : never
      : T extends DateTime.DateTime
        ? Date
        : T extends Redacted.Redacted<infer A>
          ? A
          : T extends Duration.Duration
            ? number
            : T extends StoredRecord
              ? Fields<T>
              : T extends Uint8Array | Date | RetentionRefused | string | number | bigint | boolean | null | undefined
                ? T
                : T extends ReadonlyMap<infer K, infer V>
                  ? ReadonlyMap<Plain<K>, Plain<V>>
                  : T extends ReadonlyArray<unknown>
                    ? { readonly [I in keyof T]: Plain<T[I]> }
                    : Fields<T>
type Fields<T> = { readonly [K in keyof T]: Plain<T[K]> }

type Inputs<A extends ReadonlyArray<unknown>> = { [I in keyof A]: Input<A[I]> }
/** A duration is written as text or milliseconds. */
type Input<T> = [Extract<T, Duration.Duration>] extends [never]
  ? Plain<T>
  : Time | (undefined extends T ? undefined : never)

type Promised<M> =
  M extends Effect.Effect<infer A, unknown, unknown>
    ? () => Promise<Plain<A>>
    : M extends (...args: infer A) => Effect.Effect<infer S, unknown, unknown>
      ? (...args: Inputs<A>) => Promise<Plain<S>>
      : M extends (...args: infer A) => Promise<infer S>
        ? (...args: Inputs<A>) => Promise<Plain<S>>
        : M extends (...args: infer A) => Stream.Stream<infer S, unknown, unknown>
          ? (...args: Inputs<A>) => AsyncIterable<Plain<S>>
          : M extends (...args: infer A) => infer S
            ? (...args: Inputs<A>) => Promise<Plain<S>>
            : never

/** The methods of one module that differ from its service's, by name; none, or it does not compile. */
type Differences<K extends keyof Services> =
  | { [M in Exclude<keyof Services[K], Hidden<K> | keyof Modules[K]>]: ["missing in the facade", M] }[Exclude<
      keyof Services[K],
      Hidden<K> | keyof Modules[K]
    >]
  | { [M in Exclude<keyof Modules[K], keyof Services[K]>]: ["not of the service", M] }[Exclude<
      keyof Modules[K],
      keyof Services[K]
    >]
  | {
      [M in Exclude<keyof Modules[K] & keyof Services[K], SpecialOf<K>>]: Equal<
        Promised<Modules[K][M]>,
        Promised<Services[K][M]>
      > extends true
        ? never
        : ["differs from the service", K, M]
    }[Exclude<keyof Modules[K] & keyof Services[K], SpecialOf<K>>]

const none = <T>(_: [T] extends [never] ? true : T) => {}
none<Exclude<keyof Modules, keyof Services>>(true)
none<Exclude<keyof Services, keyof Modules>>(true)
none<Differences<"audit">>(true)
none<Differences<"scope">>(true)
none<Differences<"platform">>(true)
none<Differences<"cost">>(true)
none<Differences<"gates">>(true)
none<Differences<"loop">>(true)
none<Differences<"presence">>(true)
none<Differences<"contracts">>(true)
none<Differences<"policies">>(true)
none<Differences<"pricing">>(true)
none<Differences<"prompts">>(true)
none<Differences<"compliance">>(true)
none<Differences<"bundles">>(true)
none<Differences<"erasure">>(true)
none<Differences<"legalHolds">>(true)
none<Differences<"retention">>(true)
none<Differences<"checkpoints">>(true)
none<Differences<"agentKeys">>(true)
none<Differences<"routing">>(true)
none<Differences<"coverage">>(true)

// What is written by hand beside the modules.
type Keys<T> = T extends unknown ? keyof T : never
const same = <A, B>(_: Equal<A, B>) => {}
same<keyof Facade.Options, keyof Governance.Settings.GovernanceOptions>(true)
same<keyof Facade.Configuration, keyof GovernanceConfig>(true)
same<Keys<Facade.Call>, Keys<CallOptions>>(true)
same<keyof Facade.Usage, keyof ServiceUsage>(true)
same<Facade.PolicyKind, PolicyKind>(true)
none<{ [K in PolicyKind]: Facade.PolicyOf[K] extends PolicyInput<K> ? never : K }[PolicyKind]>(true)
none<{ [K in PolicyKind]: keyof PolicyInput<K> extends keyof Facade.PolicyOf[K] ? never : K }[PolicyKind]>(true)
same<Keys<Facade.Spending>, Keys<Governance.Governor.Spending>>(true)
// What the governor's ticket has beside these is for wrappers: a halt arrives as the signal's reason.
same<keyof Facade.Ticket, Exclude<keyof Governance.Governor.Ticket, "halted" | "watchHalt"> | "signal">(true)
same<keyof Facade.AuditRecord, keyof StoredRecord>(true)

describe("the surface of the Promise facade", () => {
  it("is that of the services, method by method, and nothing of the library's own (SYN-01)", async () => {
    await using governance = await Started.memory({
      warnOnNoWrappers: false,
      enableRouting: true,
      enableCoverage: true,
      workspaceSalt: "a salt for this test only"
    })
    const rest = ["governed", "governedStream", "requireApproval", "config", "closed", "close", "run"]
    assert.sameMembers(Object.keys(governance), [...names, ...rest])
    for (const [name, left] of Object.entries(hidden)) {
      const module = Reflect.get(governance, name)
      for (const method of left) assert.notProperty(module, method)
    }
    for (const name of names) {
      for (const [method, value] of Object.entries(Reflect.get(governance, name))) {
        assert.isFunction(value, `${name}.${method}`)
      }
    }
  })

  it("exports every error class that can be rejected with (ENT-15)", () => {
    const isError = (value: unknown) => typeof value === "function" && value.prototype instanceof Error
    const classes = (from: object) => Object.entries(from).flatMap(([name, value]) => (isError(value) ? [name] : []))
    assert.sameMembers(classes(Errors), classes(Governance))
  })
})

const names: ReadonlySet<string> = new Set<keyof Modules>([
  "audit",
  "scope",
  "cost",
  "gates",
  "loop",
  "presence",
  "contracts",
  "policies",
  "pricing",
  "prompts",
  "compliance",
  "bundles",
  "erasure",
  "legalHolds",
  "retention",
  "checkpoints",
  "agentKeys",
  "routing",
  "coverage",
  "platform"
])
