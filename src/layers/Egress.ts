import { Layer } from "effect"
import * as Egress from "../services/Egress.ts"
import * as EgressDialler from "./EgressDialler.ts"
import * as EgressResolver from "./EgressResolver.ts"

/** The guard over the network as it is, with the `egress` settings. */
export const layer = Egress.layer.pipe(Layer.provide([EgressDialler.layer, EgressResolver.layer]))
