import { createHmac, hash as digest, type KeyObject } from "node:crypto"
import type { Digest } from "../schema/Chain.ts"

/** SHA-256 of a text. */
export const sha256OfText: Digest = (text) => bytesOf(digest("sha256", text, "binary"))

/**
 * HMAC-SHA-256 (RFC 2104) of texts under one key. Every row of the log is sealed and checked with one, and an `Hmac` of Node,
 * an object with a native half, takes twice the time of the two digests that it stands for and is collected late. So texts
 * of a common length are digested as the RFC writes it, in memory that is used again and again; longer ones are left to Node.
 */
export const hmacSha256 = (key: KeyObject): Digest => {
  const secret = key.export()
  const block = Buffer.alloc(blockBytes)
  block.set(secret.length > blockBytes ? digest("sha256", secret, "buffer") : secret)
  const innerPad = block.map((byte) => byte ^ 0x36)
  const outerPad = block.map((byte) => byte ^ 0x5c)
  return (text) => {
    if (text.length > commonLength) return bytesOf(createHmac("sha256", key).update(text).digest("binary"))
    inner.set(innerPad)
    const end = blockBytes + inner.write(text, blockBytes)
    outer.set(outerPad)
    outer.write(digest("sha256", inner.subarray(0, end), "binary"), blockBytes, "latin1")
    return bytesOf(digest("sha256", outer, "binary"))
  }
}

const blockBytes = 64
const digestBytes = 32
/** UTF-16 units, each of which is at most three bytes of UTF-8. */
const commonLength = 8192
const inner = Buffer.alloc(blockBytes + 3 * commonLength)
const outer = Buffer.alloc(blockBytes + digestBytes)

/** A `Buffer` for each digest costs half a microsecond and is collected late; these few bytes lie on the heap of V8. */
const bytesOf = (latin1: string): Uint8Array => {
  const bytes = new Uint8Array(latin1.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = latin1.charCodeAt(i)
  return bytes
}
