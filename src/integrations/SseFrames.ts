/** One server-sent event as it came, its blank line included, and its `data`. */
export interface Frame {
  readonly text: string
  readonly data: string
}

/** Cuts a text stream into server-sent events, whatever the chunks' borders are (WHATWG HTML 9.2.6). */
export class SseFrames {
  #rest = ""

  push(text: string): ReadonlyArray<Frame> {
    this.#rest += text
    const frames: Array<Frame> = []
    for (;;) {
      const end = /\r\n\r\n|\n\n|\r\r(?!\n)/.exec(this.#rest)
      // What never ends is passed on as it is: it must not fill the memory.
      if (end === null && this.#rest.length < longest) return frames
      const length = end === null ? this.#rest.length : end.index + end[0].length
      frames.push(frameOf(this.#rest.slice(0, length)))
      this.#rest = this.#rest.slice(length)
    }
  }

  /** What is left when the stream ends without a blank line. */
  rest(): ReadonlyArray<Frame> {
    const rest = this.#rest
    this.#rest = ""
    return rest === "" ? [] : [frameOf(rest)]
  }
}

const longest = 8 * 1024 * 1024

const frameOf = (text: string): Frame => ({
  text,
  data: text
    .split(/\r\n|\n|\r/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(line.startsWith("data: ") ? 6 : 5))
    .join("\n")
})
