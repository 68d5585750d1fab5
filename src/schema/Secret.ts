import { Result, Schema } from "effect"
import { Base64, Base64Url, Hex } from "effect/encoding"
import { estimateBits, hasCommonWords } from "./Entropy.ts"

/** A secret that can be guessed. Says why, never what it is (K-01, OQ-25). */
export class WeakSecret extends Schema.TaggedError<WeakSecret>()("WeakSecret", { problem: Schema.String }) {
  override get message() {
    return `The secret ${this.problem}`
  }
  get recoveryHint() {
    return "Make one with `openssl rand -hex 32` and keep it in a secret store."
  }
}

export const minSecretBytes = 32
export const minSecretBits = 128
/** Longer secrets add nothing to an HMAC, and the estimate is quadratic. */
export const maxSecretBytes = 1024

/**
 * The key bytes of a secret that is long and random enough. Text that is all hex digits (an even number of them) is decoded
 * as hex; other text that is base64 or base64url of at least 32 bytes is decoded as that; all other text counts as its UTF-8
 * bytes. The same text always gives the same bytes.
 */
export const checkSecretStrength = (secret: Uint8Array | string): Result.Result<Uint8Array, WeakSecret> => {
  const weak = (problem: string) => Result.fail(new WeakSecret({ problem }))
  if (secret.length > 4 * maxSecretBytes) return weak(`is too long: at most ${maxSecretBytes} bytes are allowed`)
  const plain = typeof secret === "string" ? new TextEncoder().encode(secret) : secret
  const decoded = decodeSecret(typeof secret === "string" ? secret : latin1.decode(secret))
  const bytes = typeof secret === "string" ? (decoded ?? plain) : secret
  if (bytes.length < minSecretBytes) {
    return weak(`has ${bytes.length} bytes once decoded; at least ${minSecretBytes} are needed`)
  }
  if (bytes.length > maxSecretBytes) return weak(`is too long: at most ${maxSecretBytes} bytes are allowed`)

  // Encoding hides words and patterns, so what is encoded is judged in both readings.
  const readings = decoded === null ? [plain] : [plain, decoded]
  if (readings.some(hasCommonWords)) return weak("is made of words of well-known or sample secrets")
  const bits = Math.floor(Math.min(...readings.map(estimateBits)))
  return bits < minSecretBits
    ? weak(`repeats itself or follows a pattern: about ${bits} bits of entropy, at least ${minSecretBits} are needed`)
    : Result.succeed(bytes)
}

const decodeSecret = (text: string): Uint8Array | null => {
  if (/^(?:[0-9a-fA-F]{2})+$/.test(text)) return Result.getOrNull(Hex.decode(text.toLowerCase()))
  if (!/^(?:[A-Za-z0-9+/]+|[A-Za-z0-9_-]+)={0,2}$/.test(text)) return null
  const bare = text.replace(/=+$/, "")
  const decoded = Result.getOrNull(
    /[_-]/.test(bare) ? Base64Url.decode(bare) : Base64.decode(bare.padEnd(Math.ceil(bare.length / 4) * 4, "="))
  )
  return decoded !== null && decoded.length >= minSecretBytes ? decoded : null
}

const latin1 = new TextDecoder("latin1")
