import { Effect, Layer } from "effect"
import { ChainId } from "../../schema/Ids.ts"
import { type BridgeState, BridgeStateStore } from "../../services/BridgeStateStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"
import { int8s, texts } from "./PgArrays.ts"

/** The sequence of an outbox, beside the log that it sends. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("BridgeStateStore")

  return BridgeStateStore.of({
    open: (reader, instance) =>
      Effect.map(
        ask(
          "open",
          `SELECT r_instance::text, r_revision, r_next_seq, r_chains, r_seqs FROM ${prefix}governance_bridge_open($1, $2::uuid)`,
          [reader, instance]
        ),
        ([row]) => stateOf(row ?? [])
      ),

    read: (reader) =>
      Effect.map(
        ask(
          "read",
          `SELECT instance::text, revision, next_seq, chains, seqs FROM ${prefix}governance_bridge_state WHERE reader = $1`,
          [reader]
        ),
        ([row]) => (row === undefined ? null : stateOf(row))
      ),

    move: (reader, revision, { inFlight, nextSeq }) =>
      Effect.map(
        ask("move", `SELECT ${prefix}governance_bridge_move($1, $2, $3, $4, $5)`, [
          reader,
          BigInt(revision),
          BigInt(nextSeq),
          texts(inFlight.map(({ chain }) => chain)),
          int8s(inFlight.map(({ seq }) => BigInt(seq)))
        ]),
        ([row]) => row?.[0] === true
      )
  })
})

export const layer = Layer.effect(BridgeStateStore, make)

const stateOf = ([instance, revision, nextSeq, chains, seqs]: ReadonlyArray<unknown>): BridgeState => {
  const places = arrayOf(seqs)
  return {
    instance: String(instance),
    revision: Number(revision),
    nextSeq: Number(nextSeq),
    inFlight: arrayOf(chains).map((chain, i) => ({ chain: ChainId.make(String(chain)), seq: Number(places[i]) }))
  }
}

const arrayOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])
