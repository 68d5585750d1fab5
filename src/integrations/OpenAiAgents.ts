/**
 * Governs the models and tools of OpenAI's agents SDK (`@openai/agents`).
 */
import type { Model, ModelProvider } from "@openai/agents"
import type { Effect } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import * as Host from "./Host.ts"
import { GovernedModel, type OpenAiAgentsOptions, type Who } from "./OpenAiAgentsModel.ts"
import { assertOwner, problemOfOwner } from "./Owner.ts"
import { record } from "./Reading.ts"
import { register, warnGoverned } from "./Registration.ts"

export type { OpenAiAgentsOptions } from "./OpenAiAgentsModel.ts"
export { governTool, type OpenAiAgentsToolOptions } from "./OpenAiAgentsTools.ts"

/**
 * A provider whose models are governed, for `new Runner({ modelProvider })`: every answer of a model passes every room, and one
 * halt ends the run. Throws `ConfigurationError` for something else.
 */
export const governWith = (provider: ModelProvider, options: OpenAiAgentsOptions): ModelProvider => {
  const problem = problemOf(provider) ?? problemOfOwner(options)
  if (problem !== undefined) throw problem
  if (governed.has(provider)) {
    warnGoverned(options.governance, "openai-agents")
    return provider
  }
  const wrapped = new GovernedProvider(whoOf(options), provider)
  governed.add(wrapped)
  return wrapped
}

/** The same in Effect, with the services at hand. */
export const govern = (
  provider: ModelProvider,
  options: Omit<OpenAiAgentsOptions, "governance">
): Effect.Effect<ModelProvider, ConfigurationError, Host.HostServices> =>
  Host.using((governance) => governWith(provider, { ...options, governance }))

/** One model object, for an agent that has its own: the SDK does not say what it is called, and the price depends on it. */
export const governModel = (model: Model, name: string, options: OpenAiAgentsOptions): Model => {
  if (model instanceof GovernedModel) return model
  if (!isModel(model)) throw wrongKind("a model")
  return new GovernedModel(whoOf(options), model, name)
}

class GovernedProvider implements ModelProvider {
  readonly #who: Who
  readonly #provider: ModelProvider
  readonly #models = new WeakMap<Model, GovernedModel>()

  constructor(who: Who, provider: ModelProvider) {
    this.#who = who
    this.#provider = provider
  }

  async getModel(name?: string): Promise<Model> {
    const model = await this.#provider.getModel(name)
    if (model instanceof GovernedModel) return model
    if (!isModel(model)) throw wrongKind("a provider of models")
    const known = this.#models.get(model)
    if (known !== undefined) return known
    const other = async (routed: string) => this.#provider.getModel(routed)
    const made = new GovernedModel(this.#who, model, name || (await defaultModel()), other)
    this.#models.set(model, made)
    return made
  }

  /** Providers with connections of their own end them so. */
  async close(): Promise<void> {
    const { close } = record(this.#provider)
    if (typeof close === "function") await close.call(this.#provider)
  }
}

const governed = new WeakSet<object>()

const whoOf = (options: OpenAiAgentsOptions): Who => {
  assertOwner(options)
  register(options.governance, "openai-agents")
  return { ...options, sessionId: options.sessionId ?? crypto.randomUUID() }
}

/** Only the SDK knows it, and whoever leaves the name out has it. */
const defaultModel = async (): Promise<string> => (await import("@openai/agents")).getDefaultModel()

const isModel = (value: unknown): value is Model =>
  typeof record(value).getResponse === "function" && typeof record(value).getStreamedResponse === "function"

const problemOf = (provider: unknown): ConfigurationError | undefined =>
  typeof record(provider).getModel === "function" ? undefined : wrongKind("a provider of models")

const wrongKind = (wanted: string) =>
  new ConfigurationError({ setting: "@openai/agents", problem: `this is not ${wanted} as @openai/agents 0.20 has it` })
