import { Effect } from "effect"
import { InvalidInput } from "../schema/InvalidInput.ts"
import type * as Service from "../services/Contracts.ts"
import type { Json } from "./Json.ts"
import type { Running } from "./Running.ts"

/** What must hold before and after a tool is used. `governed` holds calls to it by itself. */
export interface Contracts {
  /** One for each agent and tool: a later one replaces it. */
  register(contract: Contract): Promise<void>
  /** A check for conditions `{ check: "custom", params: { name } }`. What it throws, or no answer in time, is a violation. */
  registerCheck(name: string, check: (call: CheckedCall) => boolean | PromiseLike<boolean>): Promise<void>
  contractsOf(agentId: string): Promise<ReadonlyArray<Contract>>
  /** Rejects with `ContractViolation` at the first condition that does not hold. */
  checkPre(call: ContractCall): Promise<void>
  checkPost(call: ContractCall, result?: unknown): Promise<void>
  /** Runs a function between both. */
  enforce<A>(call: ContractCall, use: () => A | PromiseLike<A>): Promise<A>
}

/** `scope_allowed`, `budget_available`, `hitl_approved`, `audit_logged` or `custom`. */
export interface Condition {
  readonly check: string
  /** What a person reads when it does not hold. */
  readonly message: string
  /** For `custom`: `name` is the registered check, the rest is handed to it. */
  readonly params?: { readonly [key: string]: Json }
}

export interface Contract {
  readonly agentId: string
  readonly tool: string
  readonly pre?: ReadonlyArray<Condition>
  readonly post?: ReadonlyArray<Condition>
}

/** A use of a tool, for the direct checks. */
export interface ContractCall {
  readonly agentId: string
  readonly sessionId?: string | undefined
  readonly tool: string
  readonly input?: unknown
  readonly maxUsd?: number | string | undefined
  /** The audit event that `audit_logged` looks for. */
  readonly eventId?: string | undefined
}

/** What a custom check may look at. */
export interface CheckedCall {
  readonly agentId: string
  /** The agent whose contract it is: the caller, or one above it. */
  readonly contractOf: string
  readonly sessionId: string | null
  readonly tool: string
  readonly params: { readonly [key: string]: Json }
  readonly input: unknown
  readonly result: unknown
  readonly inputHash: string | null
  readonly resultHash: string | null
}

/** The methods that take functions of the caller's. */
export const special = (
  contracts: Service.Contracts["Service"],
  running: Running<never>
): Pick<Contracts, "registerCheck" | "enforce"> => ({
  registerCheck: (name, check) =>
    running.promise(
      typeof check === "function"
        ? contracts.registerCheck(name, (call) => Effect.tryPromise(async () => check(call)))
        : Effect.fail(new InvalidInput({ field: "check", problem: "must be a function" }))
    ),
  enforce: (call, use) =>
    running.promise(contracts.enforce(call)(Effect.tryPromise({ try: async () => use(), catch: (error) => error })))
})
