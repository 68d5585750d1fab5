import { Context, type Effect } from "effect"
import type { OperatorId } from "../schema/Ids.ts"
import type { PromptActivation, PromptHistory, PromptName, PromptSummary, PromptVersion } from "../schema/Prompt.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** `Unchanged`: that version was the active one already. `NothingEarlier`: no version was active before the present one. */
export type ActivationResult =
  | { readonly _tag: "Activated"; readonly activation: PromptActivation; readonly previous: PromptVersion | null }
  | { readonly _tag: "Unchanged"; readonly version: PromptVersion }
  | { readonly _tag: "Unknown" }
  | { readonly _tag: "NothingEarlier" }

/** Prompt templates by name and version. Versions and activations are append-only; the last activation is the active one. */
export class PromptStore extends Context.Service<
  PromptStore,
  {
    /** True when the version is new. MUST keep what is there for a version that it knows. */
    readonly register: (prompt: {
      readonly name: PromptName
      readonly version: PromptVersion
      readonly content: string
      readonly by: OperatorId
    }) => Effect.Effect<boolean, StoreError>
    /** MUST serialise with every other activation and rollback of the same name. */
    readonly activate: (act: {
      readonly name: PromptName
      readonly version: PromptVersion
      readonly by: OperatorId
    }) => Effect.Effect<ActivationResult, StoreError>
    /**
     * Activates what was active before: after A, B, C it gives B, then A. A version that was rolled back from is not among
     * what was active before.
     */
    readonly rollback: (act: {
      readonly name: PromptName
      readonly by: OperatorId
    }) => Effect.Effect<ActivationResult, StoreError>
    /** Every prompt, in order of name. */
    readonly list: Effect.Effect<ReadonlyArray<PromptSummary>, StoreError>
    readonly history: (name: PromptName) => Effect.Effect<PromptHistory, StoreError>
    /** The content of a version, of the active one where `version` is null; null where there is none. */
    readonly content: (
      name: PromptName,
      version: PromptVersion | null
    ) => Effect.Effect<{ readonly version: PromptVersion; readonly content: string } | null, StoreError>
  }
>()("effect-governance/services/PromptStore") {}
