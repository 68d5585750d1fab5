/** The first things of a kind, and how many there were: a report over a long log stays short. */
export class Listing<A> {
  readonly items: Array<A> = []
  count = 0
  private readonly max: number

  constructor(max: number) {
    this.max = max
  }

  /** `make` runs only for what is kept. */
  add(make: () => A): void {
    this.count++
    if (this.items.length < this.max) this.items.push(make())
  }

  get more(): number {
    return this.count - this.items.length
  }
}

/** How often each name came up. Names beyond `max` different ones are counted together. */
export class Frequencies {
  private readonly counts = new Map<string, number>()
  private readonly max: number
  others = 0
  total = 0

  constructor(max: number) {
    this.max = max
  }

  add(name: string, times = 1): void {
    this.total += times
    const known = this.counts.get(name)
    if (known !== undefined || this.counts.size < this.max) this.counts.set(name, (known ?? 0) + times)
    else this.others += times
  }

  of(name: string): number {
    return this.counts.get(name) ?? 0
  }

  /** Most frequent first, equals by name. */
  entries(): ReadonlyArray<readonly [name: string, count: number]> {
    return [...this.counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  }
}
