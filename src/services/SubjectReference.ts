import { Hex } from "effect/encoding"
import type { ChainKeys } from "./ChainKeys.ts"

/**
 * What stands for a subject in the audit log: HMAC-SHA-256 in hex under a key of the current audit secret. Whoever has the
 * secret and the name can tell that a row is about that subject; nobody can read the name out of it.
 */
export const referenceOf =
  (chainKeys: ChainKeys["Service"]) =>
  (subject: string): string =>
    Hex.encode(chainKeys.macOf("subject-reference")(subject))
