import { Schema } from "effect"

export const Module = Schema.Literals([
  "audit",
  "scope",
  "cost",
  "loop",
  "presence",
  "gates",
  "contracts",
  "routing",
  "coverage",
  "prompts"
])
export type Module = typeof Module.Type

/** The module was switched off by its `enable...` option and is called all the same (ENT-05). */
export class ModuleDisabledError extends Schema.TaggedError<ModuleDisabledError>()("ModuleDisabledError", {
  module: Module
}) {
  override get message() {
    return `The ${this.module} module is switched off`
  }
  get recoveryHint() {
    // Contracts have no flag of their own: they rest on two other modules (ENT-07).
    const flags =
      this.module === "contracts"
        ? "enableScope and enableCost"
        : `enable${this.module.charAt(0).toUpperCase()}${this.module.slice(1)}`
    return `Set ${flags} to true, or do not call it.`
  }
}
