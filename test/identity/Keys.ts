import { generateKeyPairSync, sign } from "node:crypto"
import { fingerprintOf } from "../../src/schema/AgentKey.ts"
import { AgentId } from "../../src/schema/Ids.ts"
import { publicKeyOf } from "../../src/services/Ed25519.ts"
import type { AgentSigner } from "../../src/services/Identity.ts"
import { sha256OfText } from "../../src/services/TextDigests.ts"

/** A key of an agent's own, made for one test. */
export const anySigner = (agent: string): AgentSigner & { readonly pem: string } => {
  const { privateKey } = generateKeyPairSync("ed25519")
  const publicKey = publicKeyOf(privateKey)
  return {
    agentId: AgentId.make(agent),
    publicKey,
    fingerprint: fingerprintOf(publicKey, sha256OfText),
    sign: (text) => sign(null, Buffer.from(text), privateKey),
    pem: privateKey.export({ format: "pem", type: "pkcs8" }).toString()
  }
}
