import { resolve } from "node:path"
import { Effect, Layer, Result } from "effect"
import { AgentKeyUnusable } from "../schema/AgentKeyError.ts"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { AgentId } from "../schema/Ids.ts"
import { KeyAddress, parseKeyAddress, pathFor, variableSuffix } from "../schema/KeyAddress.ts"
import { decodeArgument } from "../services/Arguments.ts"
import { type AgentSigner, Identity, type KeyLoader, make as makeIdentity } from "../services/Identity.ts"
import { Settings } from "../services/Settings.ts"
import { sha256OfText } from "../services/TextDigests.ts"
import { loadKeyFile } from "./keys/KeyFile.ts"
import { keyVariables, type VariableKey, variablePrefix } from "./keys/KeyVariables.ts"
import { generatePrivateKey, signerOf } from "./keys/PrivateKey.ts"

/** What an address yields for an agent, at once. */
const loadFrom = (
  agentId: AgentId,
  address: KeyAddress,
  variables: ReadonlyMap<string, VariableKey>
): Result.Result<AgentSigner, AgentKeyUnusable> => {
  const unusable = (source: string) => (problem: AgentKeyUnusable["problem"]) =>
    new AgentKeyUnusable({ agentId, source, problem })
  const signer = (key: Parameters<typeof signerOf>[1]) => signerOf(agentId, key)
  return KeyAddress.$match(address, {
    Ephemeral: () => Result.succeed(signer(generatePrivateKey())),
    File: ({ path }) => {
      const file = resolve(pathFor(path, agentId, sha256OfText))
      return Result.mapBoth(loadKeyFile(file), { onFailure: unusable(file), onSuccess: signer })
    },
    Variable: ({ name }) => {
      const variable = name ?? variablePrefix + variableSuffix(agentId)
      const found = variables.get(variable) ?? Result.fail("missing" as const)
      return Result.mapBoth(found, { onFailure: unusable(variable), onSuccess: signer })
    }
  })
}

/**
 * Signers as the configuration names them: `agentKeys` for single agents, else their variable, else `signingKeys` for all. With
 * `signingPolicy: "require"` a key that cannot be used keeps the process from starting; otherwise it is warned about (K-09).
 */
export const make = Effect.gen(function* () {
  const { agentKeys, signingKeys, signingPolicy } = yield* Settings
  const addresses = new Map<AgentId, KeyAddress>()
  for (const [name, text] of Object.entries(agentKeys)) {
    const agentId = yield* Effect.mapError(decodeArgument(AgentId, "agentKeys", name), () =>
      wrong("agentKeys", "has a name that no agent can have")
    )
    addresses.set(agentId, yield* addressOf(`agentKeys of ${agentId}`, text, false))
  }
  const shared = signingKeys === null ? null : yield* addressOf("signingKeys", signingKeys, true)
  const named = [...addresses.values()].flatMap((one) =>
    one._tag === "Variable" && one.name !== null ? [one.name] : []
  )
  const variables = yield* keyVariables(named)
  if (addresses.size === 0 && shared === null && variables.size === 0) return undefined

  const load: KeyLoader = (agentId) => {
    const own = addresses.get(agentId)
    if (own !== undefined) return loadFrom(agentId, own, variables)
    const hasVariable = variables.has(variablePrefix + variableSuffix(agentId))
    const address = hasVariable ? KeyAddress.Variable({ name: null }) : shared
    return address === null ? null : loadFrom(agentId, address, variables)
  }
  const identity = makeIdentity(load, signingPolicy)
  for (const agentId of addresses.keys()) identity.prepare(agentId)
  const [failure] = identity.failures()
  if (failure !== undefined && signingPolicy === "require") return yield* failure
  return identity
})

/** Nobody signs where nothing is configured. Stores take it from their context; without this layer their rows are unsigned. */
export const layer = Layer.unwrap(
  Effect.map(make, (identity) => (identity === undefined ? Layer.empty : Layer.succeed(Identity, identity)))
)

/** The signer at one address, for whoever registers a key by hand. */
export const signerAt = Effect.fnUntraced(function* (agentId: AgentId, text: string) {
  const address = yield* addressOf("key-uri", text, false)
  const named = address._tag === "Variable" && address.name !== null ? [address.name] : []
  const loaded = loadFrom(agentId, address, yield* keyVariables(named))
  return yield* Effect.fromResult(loaded)
})

const addressOf = (setting: string, text: string, shared: boolean) =>
  Result.match(parseKeyAddress(text, shared), {
    onFailure: (problem) => Effect.fail(wrong(setting, problem)),
    onSuccess: (address) => Effect.succeed(address)
  })

const wrong = (setting: string, problem: string) => new ConfigurationError({ setting, problem })
