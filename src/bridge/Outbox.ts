import { Effect } from "effect"
import type { Routes } from "../schema/BridgeWire.ts"
import type { Counters } from "./Counters.ts"
import type { Latch } from "./Latch.ts"
import type { Transport } from "./Transport.ts"

export const make = (_: {
  readonly open: (instance: string) => Transport
  readonly routes: Routes
  readonly latch: Latch
  readonly counters: Counters
  readonly workflow: string
}) => Effect.succeed({ count: Effect.void })
