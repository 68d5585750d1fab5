// A signature is made of bytes at hand, at once: Node's own HMAC, as the `standardwebhooks` package beside it uses.
import { createHmac } from "node:crypto"
import { DateTime, Redacted, Result } from "effect"
import { Base64 } from "effect/encoding"
import { Webhook } from "standardwebhooks"

/** Signs what is sent to one receiver. */
export interface WebhookSigner {
  /** The headers of Standard Webhooks: id, time and signature of an attempt at `seconds` since 1970. */
  readonly standard: (id: string, seconds: number, body: string) => Readonly<Record<string, string>>
  /** HMAC-SHA256 under the same key, in hex. */
  readonly hmac: (text: string) => string
}

/** From `whsec_` and the base64 of 24 to 64 bytes, as Standard Webhooks have it; the prefix may be missing. Null for anything else. */
export const signerOf = (secret: Redacted.Redacted<string>): WebhookSigner | null => {
  const text = Redacted.value(secret).replace(/^whsec_/, "")
  const bytes = Result.getOrNull(Base64.decode(text))
  if (bytes === null || bytes.length < 24 || bytes.length > 64) return null
  const webhook = new Webhook(text)
  return {
    standard: (id, seconds, body) => ({
      "webhook-id": id,
      "webhook-timestamp": `${seconds}`,
      "webhook-signature": webhook.sign(id, DateTime.toDate(DateTime.makeUnsafe(seconds * 1000)), body)
    }),
    hmac: (signed) => createHmac("sha256", bytes).update(signed).digest("hex")
  }
}

export const secretProblem = "must be `whsec_` and the base64 of 24 to 64 random bytes"
