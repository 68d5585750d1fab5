import { Result } from "effect"
import { Hex } from "effect/encoding"

/** The bytes of a hex text; none for what is no hex, which then fits nothing that it is compared with. */
export const hexBytes = (hex: string): Uint8Array => Result.getOrElse(Hex.decode(hex), () => new Uint8Array(0))
