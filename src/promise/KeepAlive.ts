/**
 * Keeps the process alive while somebody waits for an answer, and only then (SYN-01): timers and connections of the library
 * are let go of, so a script ends by itself when it has nothing left to do.
 */
export class KeepAlive {
  #waiting = 0
  readonly #handle = setInterval(() => {}, 2 ** 30).unref()

  hold(): void {
    if (this.#waiting++ === 0) this.#handle.ref()
  }

  release(): void {
    if (--this.#waiting === 0) this.#handle.unref()
  }

  /** For good. */
  end(): void {
    clearInterval(this.#handle)
  }
}
