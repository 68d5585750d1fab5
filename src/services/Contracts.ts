import { Context, Effect, Layer } from "effect"
import { Hex } from "effect/encoding"
import { hashOfResult, planOf } from "../schema/CallPlan.ts"
import { type Contract, type ContractInput, type ContractViolation, contractOf } from "../schema/Contract.ts"
import { Identifier } from "../schema/Identifier.ts"
import { AgentId, EventId } from "../schema/Ids.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import type { AgentHaltedError } from "../schema/Presence.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { decodeArgument } from "./Arguments.ts"
import { Audit } from "./Audit.ts"
import { ChainKeys } from "./ChainKeys.ts"
import { ContractBook } from "./ContractBook.ts"
import type { Approved, CustomCheck } from "./ContractChecks.ts"
import { violationRow } from "./ContractRoom.ts"
import { Gates } from "./Gates.ts"
import { Halts } from "./Halts.ts"
import { Lineages } from "./Lineages.ts"
import { Settings } from "./Settings.ts"
import { standing } from "./Standing.ts"
import { SubjectKeys } from "./SubjectKeys.ts"

export type { CustomCheck } from "./ContractChecks.ts"

/**
 * What must hold before and after an agent uses a tool. A governed call is held to its contracts by itself; the methods here
 * are for work that does not go through `governed`. A contract lives in the process that registers it, as its checks do.
 */
export class Contracts extends Context.Service<
  Contracts,
  {
    /** One for each agent and tool: a later one replaces it (CON-03). Conditions: at most 20 before, 20 after. */
    readonly register: (contract: ContractInput) => Effect.Effect<void, InvalidInput | ModuleDisabledError>
    /** A check for conditions `{ check: "custom", params: { name } }` (CON-06). A later one replaces it. */
    readonly registerCheck: (
      name: string,
      check: CustomCheck
    ) => Effect.Effect<void, InvalidInput | ModuleDisabledError>
    /** The contracts of this agent, those of the agents above it not among them (V8-12). */
    readonly contractsOf: (
      agentId: string
    ) => Effect.Effect<ReadonlyArray<Contract>, InvalidInput | ModuleDisabledError>
    /** Fails at the first condition that does not hold, audited as `contract.pre_violation` (CON-04, CON-05). */
    readonly checkPre: (call: ContractCall) => Effect.Effect<void, ContractError>
    /** The same afterwards, audited as `contract.post_violation`. */
    readonly checkPost: (call: ContractCall, result?: unknown) => Effect.Effect<void, ContractError>
    /** Runs an effect between both. After a violation of a post-condition it has run, and its result is withheld. */
    readonly enforce: (
      call: ContractCall
    ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ContractError, R>
  }
>()("effect-governance/services/Contracts") {}

/** A use of a tool, for the direct checks. */
export interface ContractCall {
  readonly agentId: string
  readonly sessionId?: string | undefined
  readonly tool: string
  /** What the tool is used with. Without it `hitl_approved` fails: an approval is of one exact call (DEC-09). */
  readonly input?: unknown
  /** What it costs at most, in dollars, for `budget_available`. */
  readonly maxUsd?: number | string | undefined
  /** The audit event that `audit_logged` looks for. Without it that check fails. */
  readonly eventId?: string | undefined
}

export type ContractError = AgentHaltedError | ContractViolation | InvalidInput | StoreError | ModuleDisabledError

export const make = Effect.gen(function* () {
  const book = yield* ContractBook
  const audit = yield* Audit
  const halts = yield* Halts
  const lineages = yield* Lineages
  const settings = yield* Settings
  const gates = yield* Gates
  const subjects = yield* SubjectKeys
  const { hash } = yield* ChainKeys
  const hashHex = (text: string) => Hex.encode(hash(text))
  const stand = standing(lineages, halts)

  /** A question about exactly this call (DEC-09): without an input there is none. Nobody approves anything while gates are off. */
  const approvedFor: Approved = (plan, options) =>
    options.input === undefined
      ? Effect.succeed(false)
      : Effect.catchTag(gates.approvedFor(plan, options), "ModuleDisabledError", () => Effect.succeed(false))

  const check = Effect.fnUntraced(function* (phase: "pre" | "post", call: ContractCall, result: unknown) {
    const { eventId, ...options } = call
    const plan = yield* Effect.fromResult(planOf(options, hashHex, yield* subjects.hashing(options.input)))
    const attempt = eventId === undefined ? null : yield* decodeEventId(eventId)
    const { path, trouble } = yield* stand(plan.agentId, "contracts.check")
    // The store did not place the agent: the contracts above it are not known, and nobody gets around them.
    if (trouble !== null && book.knows(plan.target.name)) return yield* trouble
    const contracts = book.along(path, plan.target.name)
    if (contracts.length === 0) return
    const judged = book[phase](contracts, {
      ...{ plan, options, path, attempt, result, deadline: settings.enforcementDeadline },
      approved: approvedFor,
      resultHash: hashOfResult(result, hashHex)
    })
    yield* Effect.tapErrorTag(judged, "ContractViolation", (violation) =>
      Effect.ignore(audit.log(violationRow(plan, violation, eventId)))
    )
  })

  const checkPre = Effect.fn("Contracts.checkPre")((call: ContractCall) => check("pre", call, undefined))
  const checkPost = Effect.fn("Contracts.checkPost")((call: ContractCall, result?: unknown) =>
    check("post", call, result)
  )

  return Contracts.of({
    register: Effect.fn("Contracts.register")(function* (input) {
      const contract = yield* Effect.mapError(
        Effect.fromResult(contractOf(input)),
        (problem) => new InvalidInput({ field: "contract", problem })
      )
      book.put(contract)
    }),
    registerCheck: Effect.fn("Contracts.registerCheck")(function* (given, custom) {
      const name = yield* decodeArgument(Identifier(256), "name", given)
      if (typeof custom !== "function") {
        return yield* new InvalidInput({ field: "check", problem: "must be a function that returns an Effect" })
      }
      book.putCheck(name, custom)
    }),
    contractsOf: Effect.fn("Contracts.contractsOf")(function* (id) {
      return book.of(yield* decodeArgument(AgentId, "agentId", id))
    }),
    checkPre,
    checkPost,
    enforce: (call) => (self) =>
      checkPre(call).pipe(
        Effect.andThen(self),
        Effect.tap((result) => checkPost(call, result))
      )
  })
})

export const layer = Layer.effect(Contracts, make)

/** Contracts rest on scope and cost: without both every direct call fails, and governed calls pass (ENT-07). */
export const layerOff = Layer.effect(
  Contracts,
  Effect.as(
    Effect.logWarning("contracts.disabled", { effect: "contracts need scope and cost; none is enforced here" }),
    Contracts.of({
      register: () => disabled,
      registerCheck: () => disabled,
      contractsOf: () => disabled,
      checkPre: () => disabled,
      checkPost: () => disabled,
      enforce: () => (self) => Effect.andThen(disabled, self)
    })
  )
)

const disabled = Effect.fail(new ModuleDisabledError({ module: "contracts" }))

const decodeEventId = (value: string) =>
  Effect.mapError(
    decodeArgument(EventId, "eventId", value),
    () => new InvalidInput({ field: "eventId", problem: "must be a UUID in lower case" })
  )
