import { Layer } from "effect"
import * as Door from "../services/EgressDoor.ts"
import * as EgressDialler from "./EgressDialler.ts"
import * as EgressResolver from "./EgressResolver.ts"

/** Onto the network as it is. */
export const layer = Door.layerOver(Layer.merge(EgressDialler.layer, EgressResolver.layer))
