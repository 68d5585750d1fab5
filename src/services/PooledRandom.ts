// Asking the operating system for ten bytes costs as much as sealing an event; Node's own generator fills a page at once.
import { randomFillSync } from "node:crypto"
import { Layer } from "effect"
import { SecureRandom } from "effect/crypto"

const pageSize = 4096

/** Cryptographically secure bytes, drawn from a page of them. Each byte is handed out once, as a copy, and wiped behind. */
export const layer = Layer.sync(SecureRandom.SecureRandom, () => {
  const page = new Uint8Array(pageSize)
  let used = pageSize
  return SecureRandom.make((size) => {
    if (size > pageSize / 4) return randomFillSync(new Uint8Array(size))
    if (used + size > pageSize) {
      randomFillSync(page)
      used = 0
    }
    const bytes = page.slice(used, used + size)
    page.fill(0, used, used + size)
    used += size
    return bytes
  })
})
