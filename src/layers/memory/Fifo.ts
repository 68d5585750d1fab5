/** First in, first out, in constant time. A `Map` that loses its oldest entry again and again takes longer each time. */
export interface Fifo<A> {
  readonly push: (value: A) => void
  readonly peek: () => A | undefined
  readonly shift: () => A | undefined
  readonly size: () => number
}

export const make = <A>(): Fifo<A> => {
  let entries: Array<A | undefined> = []
  let first = 0
  return {
    push: (value) => {
      entries.push(value)
    },
    peek: () => entries[first],
    shift: () => {
      if (first === entries.length) return undefined
      const value = entries[first]
      entries[first] = undefined
      first += 1
      if (first > 1024 && first * 2 > entries.length) {
        entries = entries.slice(first)
        first = 0
      }
      return value
    },
    size: () => entries.length - first
  }
}
