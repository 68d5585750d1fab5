import { Context, type Effect } from "effect"
import type { KeyId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** A subject's key as it is kept: encrypted under a key of the audit secret with `wrapKey` as its id. */
export interface WrappedKey {
  /** Random; it stands in every value that the key sealed. */
  readonly id: string
  readonly wrapped: Uint8Array
  readonly wrapKey: KeyId
}

export interface CurrentKey extends WrappedKey {
  readonly subject: string
}

/** What is known of a key by its id. An erased one has lost its bytes and its subject for good. */
export type KnownKey =
  | ({ readonly _tag: "Kept" } & WrappedKey)
  | { readonly _tag: "Erased"; readonly id: string; readonly erasedAtMs: number }

/** Where the keys of subjects are kept, and the only place that knows which key is whose (BEY-12). */
export class SubjectKeyStore extends Context.Service<
  SubjectKeyStore,
  {
    /**
     * The current key of each subject; a subject without one gets the candidate. MUST give everybody who asks at once the same
     * key. Keys whose ids are in `unusable` are no longer current first: their holder cannot unwrap them.
     */
    readonly current: (
      candidates: ReadonlyArray<CurrentKey>,
      unusable: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyArray<CurrentKey>, StoreError>
    readonly byId: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<KnownKey>, StoreError>
    /** Ids of the keys that the subject has now, the current one and those before it. */
    readonly idsOf: (subject: string) => Effect.Effect<ReadonlyArray<string>, StoreError>
    /** Forgets bytes and subject of every key of the subject and returns their ids; inside `StoreTransaction.run`. */
    readonly erase: (subject: string) => Effect.Effect<ReadonlyArray<string>, StoreError>
  }
>()("effect-governance/services/SubjectKeyStore") {}
