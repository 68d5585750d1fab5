import { Schema } from "effect"
import { AgentId } from "./Ids.ts"

/** A public key, or its revocation, that the registry does not take. Names the fault, never a key (K-10, K-12). */
export class AgentKeyRefused extends Schema.TaggedError<AgentKeyRefused>()("AgentKeyRefused", {
  problem: Schema.Literals(["length", "nonCanonical", "smallOrder", "proof", "taken", "revoked", "unknown"])
}) {
  override get message() {
    return `The key was refused: ${refusals[this.problem].says}`
  }
  get recoveryHint() {
    return refusals[this.problem].todo
  }
}

/** The private key of an agent cannot be used. Says where it should come from, never what was found there (K-09, K-12). */
export class AgentKeyUnusable extends Schema.TaggedError<AgentKeyUnusable>()("AgentKeyUnusable", {
  agentId: AgentId,
  /** A path, or the name of a variable. */
  source: Schema.String,
  problem: Schema.Literals([
    "missing",
    "unreadable",
    "permissions",
    "malformed",
    "wrongKind",
    "taken",
    "revoked",
    "tooMany"
  ])
}) {
  override get message() {
    return `The signing key of ${this.agentId} (${this.source}) cannot be used: ${faults[this.problem].says}`
  }
  get recoveryHint() {
    return faults[this.problem].todo
  }
}

type Sentences<Problem extends string> = Record<Problem, { readonly says: string; readonly todo: string }>

const another = "Make a new key with `openssl genpkey -algorithm ed25519` and register that."

const refusals: Sentences<AgentKeyRefused["problem"]> = {
  length: { says: "it is no Ed25519 public key of 32 bytes", todo: another },
  nonCanonical: { says: "it is encoded in another way than RFC 8032 prescribes", todo: another },
  smallOrder: { says: "it is a point of small order, under which one signature fits many messages", todo: another },
  proof: {
    says: "the proof of possession does not fit this key, agent and deployment",
    todo: "Sign the text of `governance agents keys challenge` with the private key, and give that signature."
  },
  taken: { says: "it belongs to another agent already", todo: "Give every agent a key of its own." },
  revoked: { says: "it was revoked, and that is for good", todo: another },
  unknown: { says: "no key with this fingerprint is registered", todo: "`governance agents keys list` shows all." }
}

const faults: Sentences<AgentKeyUnusable["problem"]> = {
  missing: {
    says: "there is none",
    todo: "Set the variable to the base64 of a PKCS8 key, or use file:// to have one made."
  },
  unreadable: {
    says: "it cannot be read or made",
    todo: "Check the path, its directory, and who may read and write them."
  },
  permissions: {
    says: "others could read it, or it belongs to another user",
    todo: "Check who could read it; then run chmod 600, or better make a new key and revoke this one."
  },
  malformed: { says: "what is there is no PKCS8 private key", todo: "Restore it from a backup, or make a new key." },
  wrongKind: { says: "it is no Ed25519 key", todo: another },
  taken: { says: "the same key is used for another agent", todo: "Give every agent a key of its own." },
  revoked: { says: "it was revoked", todo: "Give the agent a new key; a revoked one never comes back." },
  tooMany: { says: "this process signs for too many agents already", todo: "Name the agents that sign in `agentKeys`." }
}
