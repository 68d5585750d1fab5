import type { Usage } from "../schema/Call.ts"

/** What a provider has said of a call's usage so far, in the normal form of `Usage`. */
export type ReportedUsage = Partial<Usage>

/** Counts one model call while it runs: what the provider reports, and what can be seen of its answer (BEY-07, CST-11). */
export class Meter {
  readonly model: string
  readonly #inputTokens: number
  readonly maxTokens: number | undefined
  #reported: ReportedUsage = {}
  #final = false
  #parts = 0
  #bytes = 0
  #isLost = false
  /** More of the answer came after the last word on its length, so that word is not about all of it. */
  #isStale = false
  /** True once a wrapper nearer to the wire counts this call: then the one above MUST NOT count the same answer again. */
  countedBelow = false

  /** `inputTokens` is the estimate that was held; `maxTokens` is absent where the caller declared none. */
  constructor(model: string, inputTokens: number, maxTokens: number | undefined) {
    this.model = model
    this.#inputTokens = inputTokens
    this.maxTokens = maxTokens
  }

  /** A piece of the answer, by its length in bytes of UTF-8. */
  part(bytes: number): void {
    if (bytes <= 0) return
    this.#parts += 1
    this.#bytes += bytes
    this.#isStale = true
  }

  /** Cumulative: a later report replaces an earlier one, field by field. `final`: nothing more is to come. */
  report(usage: ReportedUsage, final: boolean): void {
    this.#reported = { ...this.#reported, ...usage }
    if (usage.outputTokens !== undefined) this.#isStale = false
    if (final && this.#reported.inputTokens !== undefined && this.#reported.outputTokens !== undefined)
      this.#final = true
  }

  /** An earlier request of this call got no answer and may have been billed: no less counts than what was declared. */
  lost(): void {
    this.#isLost = true
  }

  /** The provider's own and last word; undefined while there is none. */
  get exact(): Usage | undefined {
    return this.#final && !this.#isStale ? this.#usage(this.#reported.outputTokens ?? 0) : undefined
  }

  /** The best that can be said now: the exact usage, else an estimate on the high side; undefined before anything was seen. */
  get best(): Usage | undefined {
    if (this.#final && !this.#isStale) return this.exact
    const said = this.#reported.outputTokens ?? 0
    if (this.#parts === 0 && this.#reported.inputTokens === undefined) return undefined
    const seen = Math.max(this.#parts * 8, Math.ceil(this.#bytes / 3))
    return this.#usage(Math.max(said, Math.min(seen, this.maxTokens ?? seen)))
  }

  /** The answer is certainly longer than the caller declared, which is what was held. */
  get isOver(): boolean {
    if (this.maxTokens === undefined) return false
    // A gateway may cut tokens into letters, and a token of blanks may have a hundred: neither count alone is a lower bound.
    const seen = Math.max(Math.min(this.#parts, this.#bytes / 4), this.#bytes / 128)
    return Math.max(this.#reported.outputTokens ?? 0, seen) > this.maxTokens
  }

  #usage(outputTokens: number): Usage | undefined {
    const model = this.#reported.model ?? this.model
    const usage = { inputTokens: this.#inputTokens, ...this.#reported, model, outputTokens }
    if (!this.#isLost) return usage
    if (this.maxTokens === undefined) return undefined
    return {
      ...usage,
      inputTokens: Math.max(usage.inputTokens, this.#inputTokens),
      outputTokens: Math.max(outputTokens, this.maxTokens)
    }
  }
}
