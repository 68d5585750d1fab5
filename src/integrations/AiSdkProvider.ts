import { Audit } from "../services/Audit.ts"
import type { Remake, Who } from "./AiSdkCall.ts"
import { isEmbeddingModel, isLanguageModel, pricedAs } from "./AiSdkModel.ts"
import { ungoverned } from "./Ungoverned.ts"

/** What makes a governed model of a model, and of others from the same maker. */
type Wrap = (model: object, remake: Remake) => object

/**
 * A provider whose models are governed and which refuses everything else: models for pictures, sound and video, batches,
 * files and whatever a later version adds, since their cost is not known before the call (THR-05).
 */
export const governedProvider = <P extends object>(who: Who, provider: P, wrap: Wrap): P => {
  const members = new Map<string, unknown>()

  const refused = (kind: string, id: unknown) => {
    noted(who, kind, id, false)
    return ungoverned({ agentId: who.agentId, provider: providerOf(who) }, { method: kind, path: nameOf(id) })
  }
  const isAllowed = (kind: string, id: unknown) =>
    (who.allow ?? []).some((entry) => entry === kind || entry === `${kind} ${String(id)}`)

  const governed = (kind: string, given: ReadonlyArray<unknown>, make: (given: ReadonlyArray<unknown>) => unknown) => {
    const [id, ...rest] = given
    const made = make(given)
    // The ids of a registry and of a gateway are not those of their models, so they are not asked for another one by such an id.
    const remake =
      isLanguageModel(made) && pricedAs(made).model === id ? (name: string) => make([name, ...rest]) : undefined
    if (isLanguageModel(made) || isEmbeddingModel(made)) return wrap(made, remake)
    if (!isAllowed(kind, id)) throw refused(kind, id)
    noted(who, kind, id, true)
    return made
  }

  const member = (target: P, key: string): unknown => {
    const value: unknown = Reflect.get(target, key, target)
    if (typeof value !== "function")
      return typeof value === "object" && value !== null && key !== "tools" ? undefined : value
    return (...given: ReadonlyArray<unknown>): unknown => {
      const [id] = given
      if (!factories.has(key) && !isAllowed(key, id)) throw refused(key, id)
      return governed(key, given, (all) => Reflect.apply(value, target, all))
    }
  }

  return new Proxy(provider, {
    apply: (target, _this, given: ReadonlyArray<unknown>) =>
      // The trap exists for functions only.
      governed("languageModel", given, (all) => Reflect.apply(target as unknown as CallableFunction, undefined, all)),
    get: (target, key) => {
      if (typeof key === "symbol") return Reflect.get(target, key, target)
      if (!members.has(key)) members.set(key, member(target, key))
      return members.get(key)
    }
  })
}

/** What is not governed is in the log, refused or allowed: what is allowed runs outside all budgets. */
const noted = (who: Who, method: string, id: unknown, allowed: boolean) => {
  const { agentId, governance, sessionId } = who
  const metadata = { provider: providerOf(who).name, method, path: nameOf(id).slice(0, 200), allowed }
  governance.run(Audit.use((audit) => audit.note({ kind: "call.ungoverned", agentId, sessionId, metadata })))
}

const providerOf = ({ provider = "ai-sdk" }: Who) => ({ name: provider })
const nameOf = (id: unknown) => (typeof id === "string" ? id : "")

/** `customProvider`, registries and provider packages all have `languageModel`. */
export const isProvider = (value: unknown): value is object =>
  ((typeof value === "object" && value !== null) || typeof value === "function") &&
  "languageModel" in value &&
  typeof value.languageModel === "function"

/** They make models and send nothing. */
const factories: ReadonlySet<string> = new Set([
  "languageModel",
  "chat",
  "chatModel",
  "responses",
  "messages",
  "completion",
  "completionModel",
  "embedding",
  "embeddingModel",
  "textEmbedding",
  "textEmbeddingModel"
])
