import { Data, Result } from "effect"
import { Hex } from "effect/encoding"
import type { Digest } from "./Chain.ts"
import type { AgentId } from "./Ids.ts"

/** Where the private key of an agent comes from (IDN-02). */
export type KeyAddress = Data.TaggedEnum<{
  /** A PKCS8 file in PEM; `{agent}` stands for the agent's name. Made at first use when it is not there (IDN-08). */
  readonly File: { readonly path: string }
  /** A variable with the base64 of a PKCS8 key; null: GOVERNANCE_AGENT_KEY_<AGENT> (CFG-05). */
  readonly Variable: { readonly name: string | null }
  /** Made up in memory and gone with the process (IDN-03). */
  readonly Ephemeral: Record<never, never>
}>
export const KeyAddress = Data.taggedEnum<KeyAddress>()

/**
 * `file://PATH`, `env://NAME`, `env://` or `ephemeral`; otherwise what is wrong, without the text, which may be a key that was
 * put into the wrong place (K-12). An address for all agents (`shared`) MUST tell them apart.
 */
export const parseKeyAddress = (text: string, shared: boolean): Result.Result<KeyAddress, string> => {
  if (text === "ephemeral" || text === "ephemeral://") return Result.succeed(KeyAddress.Ephemeral())
  if (text.startsWith("env://")) {
    const name = text.slice("env://".length)
    if (name === "") return Result.succeed(KeyAddress.Variable({ name: null }))
    if (shared) return Result.fail("must be env:// without a name: every agent needs a key of its own")
    return isVariable.test(name)
      ? Result.succeed(KeyAddress.Variable({ name }))
      : Result.fail("names no variable: capitals, digits and underscores after env://")
  }
  if (text.startsWith("file://")) {
    const path = text.slice("file://".length)
    if (path === "" || path.includes("\u0000")) return Result.fail("names no file after file://")
    return shared && !path.includes(placeholder)
      ? Result.fail(`must hold ${placeholder}: every agent needs a key of its own`)
      : Result.succeed(KeyAddress.File({ path }))
  }
  return Result.fail("is none of file://PATH, env://NAME and ephemeral")
}

const isVariable = /^[A-Z_][A-Z0-9_]{0,127}$/
const placeholder = "{agent}"

/** The path for one agent. A name is one part of it whatever it holds: no separator, no dots, no length that a disk refuses. */
export const pathFor = (path: string, agentId: AgentId, hash: Digest): string =>
  path.replaceAll(placeholder, () => {
    const plain = encodeURIComponent(agentId.toWellFormed()).replace(
      /[.!~*'()]/g,
      (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`
    )
    return plain.length <= 128 ? plain : Hex.encode(hash(`agent-key-file\n${agentId}`))
  })

/** `billing-agent` -> `BILLING_AGENT` (CFG-05). Several names may share one variable; then only one of the agents signs with it. */
export const variableSuffix = (agentId: AgentId): string => agentId.toUpperCase().replace(/[^A-Z0-9]+/g, "_")
