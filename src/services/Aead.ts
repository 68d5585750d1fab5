// Values are sealed while their event is rendered, in one synchronous step, which only Node's own crypto can do.
import { createCipheriv, createDecipheriv } from "node:crypto"
import { Option, Result } from "effect"
import type { Seal, Unseal } from "../schema/Sealed.ts"

/** AES-256-GCM with the 16-byte tag last, as `Seal` asks. */
export const seal: Seal = (key, plaintext, aad, nonce) => {
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(aad)
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

export const unseal: Unseal = (key, ciphertext, aad, nonce) => {
  const end = ciphertext.length - tagBytes
  const opened = Result.try(() => {
    const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes })
      .setAAD(aad)
      .setAuthTag(ciphertext.subarray(end))
    return Buffer.concat([decipher.update(ciphertext.subarray(0, end)), decipher.final()])
  })
  return Option.getOrUndefined(Result.getSuccess(opened))
}

const tagBytes = 16
