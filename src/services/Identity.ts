import { Context, Latch, Result } from "effect"
import type { AgentKeyFingerprint } from "../schema/AgentKey.ts"
import { AgentKeyUnusable } from "../schema/AgentKeyError.ts"
import type { Digest, RowKeys, RowSigner } from "../schema/Chain.ts"
import type { AgentId } from "../schema/Ids.ts"
import { machinery } from "../schema/OperatorDraft.ts"
import { localFailure } from "../schema/SignatureStatus.ts"

/** A private key at work: what may be known of it, and what it does. The key itself stays inside `sign` (K-12). */
export interface AgentSigner {
  readonly agentId: AgentId
  readonly fingerprint: AgentKeyFingerprint
  readonly publicKey: Uint8Array
  readonly sign: Digest
}

/** Fetches or makes the key of an agent, at once; null for an agent that does not sign. */
export type KeyLoader = (agentId: AgentId) => Result.Result<AgentSigner, AgentKeyUnusable> | null

/** What there is to sign with, and what became of it. */
export interface Signers {
  /** Null where nobody signs: sealing then costs what it would without signatures. */
  readonly signerOf: ((agentId: AgentId) => RowSigner | null) | null
  /** Loads the key of an agent before it is needed. */
  readonly prepare: (agentId: AgentId) => void
  /** The keys of this process that are in use. */
  readonly signers: () => ReadonlyArray<AgentSigner>
  /** Why agents that should sign do not. */
  readonly failures: () => ReadonlyArray<AgentKeyUnusable>
  /** With the policy `require`: why this agent may not act, since it could not sign for it (K-09). */
  readonly refusal: (agentId: AgentId) => AgentKeyUnusable | null
  /** A key that must not be used any more; from here on the rows of its agent say so. */
  readonly withdraw: (fingerprint: AgentKeyFingerprint, problem: "taken" | "revoked") => void
  /** Takes back a withdrawal that did not come to pass. */
  readonly reinstate: (fingerprint: AgentKeyFingerprint) => void
  /** Rows sealed with a signature, and rows sealed without one that should have had it; a row that is sealed again counts again. */
  readonly stats: () => { readonly signed: number; readonly failed: number }
  /** Opened when a key came into use or failed, for whoever registers keys and tells the operator. */
  readonly changed: Latch.Latch
}

/**
 * Who signs in this process (IDN-01). Rows are sealed synchronously, so a key is loaded when its agent first needs it and then
 * kept. A key that cannot be used never fails the host's call: the row says that its writer could not sign (IDN-04, K-09).
 */
export class Identity extends Context.Reference<Signers>("effect-governance/services/Identity", {
  defaultValue: (): Signers => nobody
}) {}

/** The keys of a row, with the signer of its agent. */
export const sealing = (identity: Signers, keys: RowKeys): RowKeys =>
  identity.signerOf === null ? keys : { ...keys, signerOf: identity.signerOf }

interface Standing {
  readonly signer: AgentSigner | null
  readonly inUse: RowSigner
  problem: AgentKeyUnusable | null
}

const maxAgents = 10_000

export const make = (load: KeyLoader, policy: "degrade" | "require" = "degrade"): Signers => {
  const standings = new Map<AgentId, Standing>()
  const owners = new Map<AgentKeyFingerprint, Standing>()
  const changed = Latch.makeUnsafe()
  const stats = { signed: 0, failed: 0 }

  const failing = (problem: AgentKeyUnusable): Standing => ({ signer: null, inUse: cannotSign, problem })

  const admit = (agentId: AgentId, signer: AgentSigner): Standing => {
    const owner = owners.get(signer.fingerprint)
    if (owner !== undefined) return failing(unusable(agentId, signer.fingerprint, "taken"))
    const inUse = {
      fingerprint: signer.fingerprint,
      sign: (text: string) => {
        stats.signed++
        return signer.sign(text)
      }
    }
    const standing: Standing = { signer, inUse, problem: null }
    owners.set(signer.fingerprint, standing)
    return standing
  }

  const learn = (agentId: AgentId): Standing | null => {
    if (standings.size >= maxAgents) return failing(unusable(agentId, "this process", "tooMany"))
    const loaded = load(agentId)
    if (loaded === null) return null
    const standing = Result.isFailure(loaded) ? failing(loaded.failure) : admit(agentId, loaded.success)
    standings.set(agentId, standing)
    changed.openUnsafe()
    return standing
  }

  // What the library says of itself belongs to no agent, and a revocation must not be signed by the key that it ends.
  const standingOf = (agentId: AgentId): Standing | null =>
    agentId === machinery ? null : (standings.get(agentId) ?? learn(agentId))

  return {
    signerOf: (agentId) => {
      const standing = standingOf(agentId)
      if (standing === null) return null
      if (standing.problem === null) return standing.inUse
      stats.failed++
      return cannotSign
    },
    prepare: (agentId) => void standingOf(agentId),
    signers: () =>
      [...standings.values()].flatMap(({ problem, signer }) => (signer === null || problem !== null ? [] : [signer])),
    failures: () => [...standings.values()].flatMap(({ problem }) => (problem === null ? [] : [problem])),
    refusal: (agentId) => (policy === "degrade" ? null : (standingOf(agentId)?.problem ?? null)),
    withdraw: (fingerprint, problem) => {
      const standing = owners.get(fingerprint)
      if (standing === undefined || standing.signer === null || standing.problem !== null) return
      standing.problem = unusable(standing.signer.agentId, fingerprint, problem)
      changed.openUnsafe()
    },
    reinstate: (fingerprint) => {
      const standing = owners.get(fingerprint)
      if (standing !== undefined) standing.problem = null
    },
    stats: () => ({ ...stats }),
    changed
  }
}

const cannotSign: RowSigner = { fingerprint: localFailure, sign: null }

const nobody: Signers = {
  signerOf: null,
  prepare: () => undefined,
  signers: () => [],
  failures: () => [],
  refusal: () => null,
  withdraw: () => undefined,
  reinstate: () => undefined,
  stats: () => ({ signed: 0, failed: 0 }),
  changed: Latch.makeUnsafe()
}

const unusable = (agentId: AgentId, source: string, problem: AgentKeyUnusable["problem"]) =>
  new AgentKeyUnusable({ agentId, source, problem })
