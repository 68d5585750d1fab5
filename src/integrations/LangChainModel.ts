import { BaseChatModel } from "@langchain/core/language_models/chat_models"
import type { Effect } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { failed } from "./CallEnd.ts"
import { current, within } from "./CurrentCall.ts"
import { type HostServices, using } from "./Host.ts"
import { added, bodyOf, langChain, toolName, usageOf } from "./LangChainCall.ts"
import type { LiveCall } from "./LiveCall.ts"
import { type GovernOptions, open } from "./ModelCall.ts"
import { assertOwner } from "./Owner.ts"
import type { Body } from "./Provider.ts"
import { items, record, utf8Length } from "./Reading.ts"
import { register, warnGoverned } from "./Registration.ts"

/**
 * Governs a chat model of LangChain in place and returns it: invoke, stream, batch, `streamEvents`, and whatever `bindTools`,
 * `withConfig` or `withStructuredOutput` make of it (WRP-01). A second time changes nothing. Throws `ConfigurationError` for what
 * is no chat model of `@langchain/core` 1.
 */
export const governWith = <M extends BaseChatModel>(model: M, options: GovernOptions): M => {
  assertOwner(options)
  const { governance } = options
  if (!isModel(model)) throw new ConfigurationError({ setting: "model", problem: noModel })
  if (governed.has(model)) {
    warnGoverned(governance, "langchain")
    return model
  }
  register(governance, "langchain")
  return patched(model, { ...options, sessionId: options.sessionId ?? crypto.randomUUID() })
}

/** The same for a program that has governance as Effect services. */
export const govern = <M extends BaseChatModel>(
  model: M,
  options: Omit<GovernOptions, "governance">
): Effect.Effect<M, ConfigurationError, HostServices> =>
  using((governance) => governWith(model, { ...options, governance }))

const noModel = "is no chat model of @langchain/core 1, which this wrapper needs"
const governed = new WeakSet<object>()

type Settled = GovernOptions & { readonly sessionId: string }
type CallOptions = Body & { readonly signal?: AbortSignal | undefined }

/** The methods that reach a provider. What LangChain calls protected is what its providers override. */
interface Inner {
  _generate(
    messages: Messages,
    options: CallOptions,
    manager?: unknown
  ): Promise<{ generations: Array<{ message: unknown }> }>
  _streamResponseChunks(
    messages: Messages,
    options: CallOptions,
    manager?: unknown
  ): AsyncIterable<{ message: unknown; text: string }>
  _streamChatModelEvents(messages: Messages, options: CallOptions, manager?: unknown): AsyncIterable<Body>
  withConfig?(config: Body): object
  invocationParams?(options: CallOptions): unknown
  getLsParams(options: CallOptions): unknown
  readonly defaultOptions?: unknown
}
type Messages = Parameters<typeof bodyOf>[0]

const patched = <M extends BaseChatModel>(model: M, settled: Settled): M => {
  governed.add(model)
  // LangChain declares these protected or only on its providers' classes.
  const inner = model as unknown as Inner
  const { _generate, _streamChatModelEvents, _streamResponseChunks, withConfig } = inner

  const begin = async (messages: Messages, options: CallOptions) => {
    const tools = items(options.tools ?? record(inner.defaultOptions).tools)
    const description = record(inner.getLsParams(options))
    const body = bodyOf(messages, { tools }, record(inner.invocationParams?.(options)), description)
    const provider = { name: providerOf(inner, options) }
    const { body: sent, live } = await open({
      ...settled,
      wire: langChain,
      routes: false,
      provider,
      body,
      signal: options.signal
    })
    const visible = new Set(items(sent.tools).map(toolName))
    const shown = tools.filter((tool) => visible.has(toolName(tool)))
    const signal = options.signal == null ? live.signal : AbortSignal.any([live.signal, options.signal])
    const hidden =
      shown.length < tools.length ? { tools: shown, ...(shown.length === 0 ? { tool_choice: undefined } : {}) } : {}
    return { live, options: { ...options, ...hidden, signal } }
  }

  inner._generate = async (messages, options, manager) => {
    // One of these methods may be written in terms of another: that is still one call.
    if (current() !== undefined) return _generate.call(inner, messages, options, manager)
    const call = await begin(messages, options)
    try {
      const result = await within(call.live, () => _generate.call(inner, messages, call.options, manager))
      const usage = result.generations.map(({ message }) => usageOf(record(message))).find((one) => one !== undefined)
      if (usage !== undefined) call.live.meter.report(usage, true)
      await call.live.settle({
        _tag: "Completed",
        result: result.generations.map(({ message }) => record(message).content)
      })
      return result
    } catch (error) {
      throw await failed(call.live, error)
    }
  }

  // LangChain asks whether a provider streams by looking whether it has a method of its own.
  if (_streamResponseChunks !== (BaseChatModel.prototype as unknown as Inner)._streamResponseChunks) {
    inner._streamResponseChunks = (messages, options, manager) =>
      streamed(
        options,
        () => begin(messages, options),
        (call) => _streamResponseChunks.call(inner, messages, call, manager),
        (live, chunk, before) => {
          live.meter.part(utf8Length(chunk.text) + argumentBytes(record(chunk.message)))
          return added(providerOf(inner, options), before, usageOf(record(chunk.message)))
        }
      )
  }
  inner._streamChatModelEvents = (messages, options, manager) =>
    streamed(
      options,
      () => begin(messages, options),
      (call) => _streamChatModelEvents.call(inner, messages, call, manager),
      (live, event, before) => {
        const { args, reasoning, text } = record(event.delta)
        live.meter.part(utf8Length(text) + utf8Length(reasoning) + utf8Length(args))
        // A running snapshot: it replaces what was said before.
        return usageOf({ usage_metadata: event.usage, response_metadata: event.responseMetadata }) ?? before
      }
    )
  // Some providers' classes are made of one model for each of their interfaces, which can be called past the whole.
  for (const part of Object.values(inner)) {
    if (typeof part === "object" && part !== null && isModel(part) && !governed.has(part))
      patched(part as BaseChatModel, settled)
  }
  if (withConfig !== undefined) {
    inner.withConfig = (config) => {
      const made = withConfig.call(inner, config)
      // Providers answer with a copy of themselves, which would otherwise be free.
      return isModel(made) && !governed.has(made) ? patched(made as BaseChatModel, settled) : made
    }
  }
  return model
}

/** One stream as one call; every step runs inside it, so that a governed fetch below joins it. */
async function* streamed<A>(
  asked: CallOptions,
  begin: () => Promise<{ readonly live: LiveCall; readonly options: CallOptions }>,
  start: (options: CallOptions) => AsyncIterable<A>,
  seen: (live: LiveCall, part: A, before: ReturnType<typeof usageOf>) => ReturnType<typeof usageOf>
): AsyncGenerator<A> {
  if (current() !== undefined) return yield* start(asked)
  const { live, options } = await begin()
  const iterator = within(live, () => start(options)[Symbol.asyncIterator]())
  let usage: ReturnType<typeof usageOf>
  try {
    for (;;) {
      const next = await within(live, () => iterator.next())
      if (live.signal.aborted) throw live.signal.reason
      if (next.done === true) break
      usage = seen(live, next.value, usage)
      if (usage !== undefined) live.meter.report(usage, false)
      live.idle(true)
      yield next.value
      live.idle(false)
    }
    if (usage !== undefined) live.meter.report(usage, true)
    await live.settle({ _tag: "Completed" })
  } catch (error) {
    throw await failed(live, error)
  } finally {
    // Whoever breaks out of the loop ends here.
    await live.settle({ _tag: "Broken", error: new Error("the stream was dropped") })
    await within(live, () => iterator.return?.())
  }
}

const providerOf = (inner: Inner, options: CallOptions) =>
  String(record(inner.getLsParams(options)).ls_provider ?? "unknown")

const isModel = (value: object): boolean =>
  ["_generate", "_streamResponseChunks", "_streamChatModelEvents", "getLsParams"].every(
    (method) => typeof Reflect.get(value, method) === "function"
  )

const argumentBytes = (message: Body): number =>
  items(message.tool_call_chunks).reduce((sum, call) => sum + utf8Length(call.args), 0)
