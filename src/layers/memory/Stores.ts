/** Admission, cost, gates, loop, presence and policies as views of one `MemoryState`: one set, never mixed with another backing. Prompts beside them. */
import { Layer } from "effect"
import * as AdmissionStore from "./AdmissionStore.ts"
import * as CostStore from "./CostStore.ts"
import * as GateStore from "./GateStore.ts"
import * as LoopStore from "./LoopStore.ts"
import * as MemoryState from "./MemoryState.ts"
import * as PolicyStore from "./PolicyStore.ts"
import * as PresenceStore from "./PresenceStore.ts"
import * as PromptStore from "./PromptStore.ts"

/** Needs a `MemoryState`, so that other concerns can share it. */
export const layerNoState = Layer.mergeAll(
  AdmissionStore.layer,
  CostStore.layer,
  GateStore.layer,
  LoopStore.layer,
  PolicyStore.layer,
  PresenceStore.layer,
  PromptStore.layer
)

/** The stores with their own state, which is provided too. */
export const layer = layerNoState.pipe(Layer.provideMerge(MemoryState.layer))
