/**
 * A value that belongs to a subject (a person whose data may have to be erased). It is stored sealed under that subject's
 * key and never plain (BEY-12). Opaque on purpose: printing or serialising it shows nothing.
 */
export class Marked<out A = unknown> {
  readonly #subject: string
  readonly #value: A

  constructor(subject: string, value: A) {
    this.#subject = subject
    this.#value = value
    Object.freeze(this)
  }

  static readonly is = (u: unknown): u is Marked => typeof u === "object" && u !== null && #subject in u
  static readonly subject = (marked: Marked): string => marked.#subject
  /** The plain value: only for the one who is about to seal or hash it. */
  static readonly reveal = <A>(marked: Marked<A>): A => marked.#value

  // A mark that reaches a serialiser by mistake MUST NOT show its value.
  toJSON() {
    return { $unsealable: true }
  }
}

/** Marks a value inside metadata as belonging to `subject`; `subject` is an identifier of 1 to 256 characters. */
export const sealed = (subject: string, value: unknown): Marked => new Marked(subject, value)
