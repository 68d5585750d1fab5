// Signatures are checked by Node's own crypto: with a callback it works on the thread pool, on all cores, and the host's event
// loop stays free.
import { createPublicKey, type KeyObject, verify } from "node:crypto"
import { Effect } from "effect"

/** A public key of 32 bytes, ready to check with. */
export const publicKeyFrom = (publicKey: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: "der", type: "spki" })

/** The 32 bytes of RFC 8032 out of either half of a key: they are the end of its SubjectPublicKeyInfo. */
export const publicKeyOf = (key: KeyObject): Uint8Array => {
  const half = key.type === "private" ? createPublicKey(key) : key
  const spki = half.export({ format: "der", type: "spki" })
  return Uint8Array.from(spki.subarray(spki.length - 32))
}

/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410). */
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex")

/** Ed25519 over the text's UTF-8. Node refuses an S that is not below the group's order, and an R that is encoded another way (K-11). */
export const isSignedBy = (key: KeyObject, text: string, signature: Uint8Array): boolean =>
  signature.length === 64 && verify(null, Buffer.from(text, "utf8"), key, signature)

export interface SignedText {
  readonly key: KeyObject
  readonly text: string
  readonly signature: Uint8Array
}

/**
 * The same for many, in the order given. A few dozen at a time wait for the pool, which others need too; whoever is interrupted
 * waits for those.
 */
export const areSigned = (items: ReadonlyArray<SignedText>): Effect.Effect<ReadonlyArray<boolean>> =>
  Effect.callback((resume) => {
    const verdicts: Array<boolean> = new Array(items.length)
    let next = 0
    let done = 0
    const finish = (i: number, verdict: boolean) => {
      verdicts[i] = verdict
      done++
      if (done === items.length) resume(Effect.succeed(verdicts))
      else start()
    }
    const start = () => {
      const i = next++
      const item = items[i]
      if (item === undefined) return
      if (item.signature.length !== 64) return finish(i, false)
      verify(null, Buffer.from(item.text, "utf8"), item.key, item.signature, (error, valid) =>
        finish(i, error === null && valid)
      )
    }
    if (items.length === 0) return resume(Effect.succeed(verdicts))
    for (let i = 0; i < atOnce; i++) start()
    return Effect.sync(() => {
      next = items.length
    })
  })

const atOnce = 64
