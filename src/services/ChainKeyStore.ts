import { Context, type Effect } from "effect"
import type { ChainKeyVersion } from "../schema/ChainKeyVersion.ts"
import type { EventId, KeyId } from "../schema/Ids.ts"
import type { StoreError } from "../schema/StoreError.ts"

/** The registry of the log's keys: which there were, and which is current (ROT-02). Append-only. */
export class ChainKeyStore extends Context.Service<
  ChainKeyStore,
  {
    /** The deployment, and every version in order; the last is current. None before the first process has begun the log. */
    readonly read: Effect.Effect<
      { readonly deploymentId: string; readonly versions: ReadonlyArray<ChainKeyVersion> },
      StoreError
    >
    /** Makes this the first key. False when there is one, or when the log was begun with a key that is not among `known`. */
    readonly begin: (key: {
      readonly keyId: KeyId
      readonly fingerprint: string
      readonly known: ReadonlyArray<KeyId>
    }) => Effect.Effect<boolean, StoreError>
    /**
     * Adds the version after `expected`, inside `StoreTransaction.run`. False, and nothing changed, when `previous` is not the
     * key of the current version `expected`, or when the key was a key of this log before (L-09).
     */
    readonly advance: (next: {
      readonly expected: number
      readonly previous: KeyId
      readonly keyId: KeyId
      readonly fingerprint: string
      readonly marker: EventId
      readonly handover: Uint8Array | null
    }) => Effect.Effect<boolean, StoreError>
  }
>()("effect-governance/services/ChainKeyStore") {}
