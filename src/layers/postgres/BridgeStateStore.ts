import { Effect, Layer } from "effect"
import { ChainId } from "../../schema/Ids.ts"
import { BridgeStateStore } from "../../services/BridgeStateStore.ts"
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
        ([row]) => {
          const [chains, seqs] = [arrayOf(row?.[3]), arrayOf(row?.[4])]
          return {
            instance: String(row?.[0]),
            revision: Number(row?.[1]),
            nextSeq: Number(row?.[2]),
            inFlight: chains.map((chain, i) => ({ chain: ChainId.make(String(chain)), seq: Number(seqs[i]) }))
          }
        }
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

const arrayOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])
