import type { KeyObject } from "node:crypto"
import { ConfigProvider, Effect, Result } from "effect"
import { Base64 } from "effect/encoding"
import type { AgentKeyUnusable } from "../../schema/AgentKeyError.ts"
import { parsePrivateKey } from "./PrivateKey.ts"

export const variablePrefix = "GOVERNANCE_AGENT_KEY_"

export type VariableKey = Result.Result<KeyObject, AgentKeyUnusable["problem"]>

/**
 * Every GOVERNANCE_AGENT_KEY_<AGENT>, by its suffix, and the variables that are named besides (CFG-05, DEC-01). Parsed once;
 * the decoded bytes are zeroed, the text stays in the environment, where only the process's owner can take it away.
 */
export const keyVariables = Effect.fnUntraced(function* (named: Iterable<string>) {
  const provider = yield* ConfigProvider.ConfigProvider
  const suffixes: Array<ReadonlyArray<string>> = []
  const walk = (path: ReadonlyArray<string>): Effect.Effect<void> =>
    Effect.gen(function* () {
      const node = yield* Effect.orElseSucceed(provider.load(["GOVERNANCE", "AGENT", "KEY", ...path]), () => undefined)
      if (node === undefined) return
      if (path.length > 0) suffixes.push(path)
      if (node._tag === "Record") yield* Effect.forEach(node.keys, (key) => walk([...path, key]), { discard: true })
    })
  yield* walk([])
  const keys = new Map<string, VariableKey>()
  for (const name of [...suffixes.map((path) => `${variablePrefix}${path.join("_")}`), ...named]) {
    const node = yield* Effect.orElseSucceed(provider.load([name]), () => undefined)
    const text = node?.value?.trim() ?? ""
    if (text !== "") keys.set(name, parseText(text))
  }
  return keys
})

/** The base64 of a PEM, as the documented recipe makes it, or of the key's DER; wrapped lines do no harm. */
const parseText = (text: string): VariableKey => {
  const bytes = Base64.decode(text.replace(/\s+/g, ""))
  return Result.isFailure(bytes) ? Result.fail("malformed") : parsePrivateKey(bytes.success)
}
