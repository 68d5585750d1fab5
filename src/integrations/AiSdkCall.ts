import type { CallParams, EmbeddingModelV4, LanguageModelV4, StreamPart, StreamResult } from "./AiSdkModel.ts"
import { pricedAs } from "./AiSdkModel.ts"
import { bodyOf, bytesOf, estimateOf, mostTokens, plainBody, toolNames, usageOf, withTools } from "./AiSdkWire.ts"
import { failed, keepToMaximum, toldOf } from "./CallEnd.ts"
import { current, within } from "./CurrentCall.ts"
import type { LiveCall } from "./LiveCall.ts"
import { type GovernOptions, open, type RequestWire } from "./ModelCall.ts"
import type { ModelRequest } from "./Provider.ts"
import { surchargeOf } from "./Surcharge.ts"

export interface AiSdkOptions extends GovernOptions {
  /** The price book's name of the provider, where the model's own says nothing to it: a gateway, a local server. */
  readonly provider?: string | undefined
}

export type Who = AiSdkOptions & { readonly sessionId: string }

/** The model of another name from where a model comes from, for routing; absent for a model that comes from nowhere (ROU-02). */
export type Remake = ((name: string) => unknown) | undefined

/** One answer in one piece, as one governed call. Below another governed call it is part of that one. */
export const generate = async (who: Who, model: LanguageModelV4, params: CallParams, remake?: Remake) => {
  if (current(who.agentId) !== undefined) return model.doGenerate(params)
  const { chosen, live, sent } = await opened(who, model, params, remake)
  const result = await attempted(live, () => chosen.doGenerate(sent))
  const usage = usageOf(result.usage, result.response?.modelId)
  if (usage !== undefined) live.meter.report(usage, true)
  // Before the reply reaches the caller, so that the next check sees what this call cost.
  await live.settle({ _tag: "Completed", result: result.content })
  return result
}

/** The same in parts; settled by the part that brings the usage, which is the last that counts. */
export const stream = async (
  who: Who,
  model: LanguageModelV4,
  params: CallParams,
  remake?: Remake
): Promise<StreamResult> => {
  if (current(who.agentId) !== undefined) return model.doStream(params)
  const { chosen, live, sent } = await opened(who, model, params, remake)
  const result = await attempted(live, () => chosen.doStream(sent))
  return { ...result, stream: watched(result.stream, live, params.abortSignal) }
}

/** Values as numbers: there is no answer to pay for, only what goes in. */
export const embed = async (
  who: Who,
  model: EmbeddingModelV4,
  params: Parameters<EmbeddingModelV4["doEmbed"]>[0]
): Promise<Awaited<ReturnType<EmbeddingModelV4["doEmbed"]>>> => {
  if (current(who.agentId) !== undefined) return model.doEmbed(params)
  const body = plainBody({ model: model.modelId, values: params.values, providerOptions: params.providerOptions })
  const wire = wireOf(model, { maxTokens: 0, tools: [] })
  const { live } = await open({
    ...who,
    provider: priced(who, model),
    wire,
    body,
    routes: false,
    signal: params.abortSignal
  })
  const sent = { ...params, abortSignal: both(live, params.abortSignal) }
  const result = await attempted(live, () => model.doEmbed(sent))
  const inputTokens = result.usage?.tokens
  if (inputTokens !== undefined) live.meter.report({ inputTokens, outputTokens: 0 }, true)
  await live.settle({ _tag: "Completed" })
  return result
}

type AnyModel = Pick<LanguageModelV4, "provider" | "modelId">

const opened = async (who: Who, model: LanguageModelV4, params: CallParams, remake: Remake) => {
  let visible = params
  let chosen = model
  const surcharge = surchargeOf(...Object.values(params.providerOptions ?? {}))
  const asked = { maxTokens: mostTokens(model.provider, params), tools: toolNames(params), surcharge }
  const wire = wireOf(model, asked, ({ isVisible, model: name }) => {
    visible = withTools(params, isVisible)
    // The same maker makes the same kind of model.
    if (name !== pricedAs(model).model) chosen = remake?.(name) as LanguageModelV4
    return bodyOf(chosen.modelId, visible)
  })
  const { live } = await open({
    ...who,
    provider: priced(who, model),
    wire,
    body: bodyOf(model.modelId, params),
    estimateInput: who.estimateInput ?? (() => estimateOf({ ...visible, abortSignal: undefined, headers: undefined })),
    routes: remake !== undefined,
    signal: params.abortSignal
  })
  return { chosen, live, sent: { ...visible, abortSignal: both(live, params.abortSignal) } }
}

/** Their requests are read before they are bytes, and their answers after: only names and numbers are left to say. */
const wireOf = (
  model: AnyModel,
  asked: Pick<ModelRequest, "maxTokens" | "tools" | "surcharge">,
  rewrite?: (to: Parameters<RequestWire["rewrite"]>[1]) => ReturnType<typeof bodyOf>
): RequestWire => ({
  llm: `llm.${model.provider}`,
  request: () => ({ ...asked, model: pricedAs(model).model, stream: false }),
  rewrite: (body, to) => ({ body: rewrite?.(to) ?? body, hidesUsage: false })
})

const priced = ({ provider }: AiSdkOptions, model: AnyModel) => ({ name: provider ?? pricedAs(model).provider })

const both = (live: LiveCall, signal: AbortSignal | undefined) =>
  signal === undefined ? live.signal : AbortSignal.any([live.signal, signal])

/** Rejects with the halt itself, not with what the SDK makes of the request that the halt cut. */
const attempted = async <A>(live: LiveCall, run: () => PromiseLike<A>): Promise<A> => {
  try {
    return await within(live, run)
  } catch (error) {
    throw await failed(live, error)
  }
}

const watched = (source: ReadableStream<StreamPart>, live: LiveCall, signal: AbortSignal | undefined) => {
  const reader = source.getReader()
  let model: string | undefined
  let failure: unknown

  const ended = () => signal?.removeEventListener("abort", aborted)
  const broken = (error: unknown) => {
    ended()
    return live.settle({ _tag: "Broken", error })
  }
  const aborted = () => void broken(signal?.reason)
  signal?.addEventListener("abort", aborted, { once: true })

  const completed = () => {
    ended()
    return failure !== undefined && live.meter.exact === undefined
      ? live.settle({ _tag: "Broken", error: failure })
      : live.settle({ _tag: "Completed" })
  }

  const seen = async (part: StreamPart) => {
    if (!live.meter.countedBelow) live.meter.part(bytesOf(part))
    if (part.type === "response-metadata") model = part.modelId ?? model
    if (part.type === "error") failure = part.error
    if (part.type === "finish") {
      const usage = usageOf(part.usage, model)
      if (usage !== undefined) live.meter.report(usage, true)
      await completed()
    } else await keepToMaximum(live)
  }

  return new ReadableStream<StreamPart>(
    {
      start: (controller) => {
        // A provider that does not look at its signal is left behind.
        const cut = () => {
          controller.error(live.signal.reason)
          void reader.cancel(live.signal.reason).catch(() => {})
        }
        if (live.signal.aborted) cut()
        else live.signal.addEventListener("abort", cut, { once: true })
        live.idle(true)
      },
      pull: async (controller) => {
        live.idle(false)
        try {
          const { done, value } = await reader.read()
          if (done) {
            await completed()
            controller.close()
          } else {
            await seen(value)
            controller.enqueue(value)
          }
        } catch (error) {
          const reason = toldOf(live, error)
          await broken(reason)
          controller.error(reason)
        }
        live.idle(true)
      },
      cancel: async (reason) => {
        await broken(reason ?? new Error("the stream was dropped"))
        await reader.cancel(reason).catch(() => {})
      }
    },
    // No read-ahead: what the caller does not read is neither fetched nor counted.
    { highWaterMark: 0 }
  )
}
