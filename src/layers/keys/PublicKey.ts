import { createPublicKey } from "node:crypto"
import { Result } from "effect"
import { publicKeyOf } from "../../services/Ed25519.ts"

/** The 32 bytes of an Ed25519 public key out of a PEM or 64 hex digits. A private key is refused: it has no business here (K-12). */
export const parsePublicKey = (text: string): Result.Result<Uint8Array, "malformed" | "wrongKind" | "isPrivate"> => {
  const given = text.trim()
  if (/^[0-9a-f]{64}$/i.test(given)) return Result.succeed(Uint8Array.from(Buffer.from(given, "hex")))
  if (given.includes("PRIVATE KEY")) return Result.fail("isPrivate")
  const parsed = Result.try(() => createPublicKey({ key: given, format: "pem" }))
  if (Result.isFailure(parsed)) return Result.fail("malformed")
  if (parsed.success.asymmetricKeyType !== "ed25519") return Result.fail("wrongKind")
  return Result.succeed(publicKeyOf(parsed.success))
}
