import { Context, type Effect } from "effect"
import type { StoreError } from "../schema/StoreError.ts"
import type { WorkflowPlace } from "../schema/Workspace.ts"

/** The last checkpoint of a log that a witness has accepted. */
export interface Witnessed {
  readonly origin: string
  /** Whose signature was on the first one; no other is accepted after it. */
  readonly verifierKey: string
  readonly size: number
  /** Hex, as all hashes here. */
  readonly root: string
  /** Peaks of the tree, the largest first; null when they are not known. */
  readonly frontier: ReadonlyArray<string> | null
  readonly note: string
  readonly seenMs: number
}

export interface WitnessedChain {
  readonly chain: string
  readonly seq: number
  readonly hash: string
}

export interface WitnessAlarm {
  readonly alarm: string
  readonly origin: string
  readonly problem: string
  /** What was refused, and what it contradicts. */
  readonly note: string
  readonly keptNote: string | null
  readonly seenMs: number
}

/** One log in the place of another, by a statement that the key of both has signed. */
export interface WitnessedAdoption {
  readonly adoption: string
  readonly origin: string
  readonly statement: string
  /** What was held before. */
  readonly keptNote: string
  readonly fromSize: number
  readonly size: number
  readonly by: string
  readonly reason: string
  /** When it was signed, as the deployment says. */
  readonly at: string
  readonly seenMs: number
}

/** What a platform has seen of its customers' logs. */
export class WitnessStore extends Context.Service<
  WitnessStore,
  {
    readonly find: (place: WorkflowPlace, origin: string) => Effect.Effect<Witnessed | null, StoreError>
    readonly list: (place: WorkflowPlace) => Effect.Effect<ReadonlyArray<Witnessed>, StoreError>
    readonly chains: (
      place: WorkflowPlace,
      origin: string,
      names: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyArray<WitnessedChain>, StoreError>
    /** Puts it in the place of what was found, all or nothing; false when somebody else was faster. Chains MUST be distinct. */
    readonly advance: (
      place: WorkflowPlace,
      from: Witnessed | null,
      to: Witnessed,
      chains: ReadonlyArray<WitnessedChain>
    ) => Effect.Effect<boolean, StoreError>
    /** Moves it as `advance` does, forgets its chains and keeps the adoption, all or nothing. */
    readonly adopt: (
      place: WorkflowPlace,
      from: Witnessed,
      to: Witnessed,
      adoption: WitnessedAdoption
    ) => Effect.Effect<boolean, StoreError>
    /** The latest first. */
    readonly adoptions: (
      place: WorkflowPlace,
      limit: number
    ) => Effect.Effect<ReadonlyArray<WitnessedAdoption>, StoreError>
    readonly raise: (place: WorkflowPlace, alarm: WitnessAlarm) => Effect.Effect<void, StoreError>
    /** The latest first. */
    readonly alarms: (place: WorkflowPlace, limit: number) => Effect.Effect<ReadonlyArray<WitnessAlarm>, StoreError>
  }
>()("effect-governance/services/WitnessStore") {}
