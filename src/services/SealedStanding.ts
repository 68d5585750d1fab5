import { Effect } from "effect"
import type { StoreError } from "../schema/StoreError.ts"
import type { ChainKeys } from "./ChainKeys.ts"
import type { SubjectKeyStore } from "./SubjectKeyStore.ts"

/** What has become of sealed values: their subject was erased, or the key is not one that this process can use. */
export interface SealedStanding {
  readonly erased: number
  readonly unreadable: number
}

/** Judges values by the keys that sealed them, without opening one: `sealedBy` has the number of values of each key id. */
export const sealedStanding = Effect.fnUntraced(function* (
  store: SubjectKeyStore["Service"],
  keys: ChainKeys["Service"],
  sealedBy: ReadonlyMap<string, number>
): Effect.fn.Return<SealedStanding, StoreError> {
  const ids = [...sealedBy.keys()]
  let erased = 0
  let unreadable = 0
  for (const values of sealedBy.values()) unreadable += values
  for (let from = 0; from < ids.length; from += pageSize) {
    for (const key of yield* store.byId(ids.slice(from, from + pageSize))) {
      const values = sealedBy.get(key.id) ?? 0
      if (key._tag === "Erased") erased += values
      if (key._tag === "Erased" || keys.macWith(key.wrapKey, "subject-keys") !== undefined) unreadable -= values
    }
  }
  return { erased, unreadable }
})

const pageSize = 1_000
