/**
 * A map that forgets what was not used for longest once it is full, so that invented ids cannot fill the memory.
 * Two generations instead of a list: a hit in the young one costs nothing more than the lookup.
 */
export interface BoundedMap<K, V> {
  readonly get: (key: K) => V | undefined
  readonly set: (key: K, value: V) => void
  readonly delete: (key: K) => boolean
  readonly size: () => number
  readonly values: () => Array<V>
}

/** Holds between `capacity / 2` and `capacity` entries when full, and more only by what `keep` holds. Entries for which it is true stay, whatever their age. */
export const make = <K, V>(capacity: number, keep: (value: V) => boolean = () => false): BoundedMap<K, V> => {
  const half = Math.max(1, Math.floor(capacity / 2))
  let limit = half
  let young = new Map<K, V>()
  let old = new Map<K, V>()

  const set = (key: K, value: V) => {
    if (young.size >= limit && !young.has(key)) {
      const kept = [...old].filter(([, entry]) => keep(entry))
      old = young
      young = new Map(kept)
      // What is kept MUST NOT use up the young generation, or every `set` would turn it over.
      limit = half + kept.length
    }
    young.set(key, value)
    old.delete(key)
  }

  return {
    get: (key) => {
      const found = young.get(key)
      if (found !== undefined || old.size === 0) return found
      const aged = old.get(key)
      if (aged !== undefined) set(key, aged)
      return aged
    },
    set,
    delete: (key) => young.delete(key) || old.delete(key),
    size: () => young.size + old.size,
    values: () => [...old.values(), ...young.values()]
  }
}
