/**
 * What the platform of a run with a bridge is like. `latched`: it has answered 401 once. `hanging`: it takes every connection and
 * never answers. `refusing`: nobody listens.
 */
export const modes = ["latched", "hanging", "refusing"] as const
export type Mode = (typeof modes)[number]

declare module "vitest" {
  export interface ProvidedContext {
    bridged: { readonly mode: Mode; readonly port: number; readonly directory: string }
  }
}
