import { keepToMaximum, toldOf } from "./CallEnd.ts"
import type { LiveCall } from "./LiveCall.ts"
import type { Wire } from "./Provider.ts"
import { type Frame, SseFrames } from "./SseFrames.ts"

export interface Metering {
  readonly live: LiveCall
  readonly wire: Wire
  readonly hidesUsage: boolean
  /** False where an outer wrapper settles the call: here it is settled only when its stream is dropped or breaks. */
  readonly owns: boolean
  /** The caller's own signal. */
  readonly signal: AbortSignal | null | undefined
}

/** The provider's response, watched while the caller reads it. Never reads ahead of him. */
export const metered = async (response: Response, metering: Metering): Promise<Response> => {
  const { live, owns, wire } = metering
  if (!response.ok) {
    if (owns) await live.settle({ _tag: "Released", error: new Error(`HTTP ${response.status}`) })
    return response
  }
  const type = response.headers.get("content-type") ?? ""
  if (response.body !== null && isStream(response)) {
    return rebuilt(response, streamed(response.body, metering), metering.hidesUsage)
  }
  if (!type.includes("json")) {
    if (owns) await live.settle({ _tag: "Completed" })
    return response
  }
  let text: string
  try {
    text = await response.text()
  } catch (error) {
    if (owns) await live.settle({ _tag: "Broken", error })
    throw toldOf(live, error)
  }
  const reply = parsed(text)
  const usage = reply === undefined ? undefined : wire.usage(reply)
  if (usage !== undefined) live.meter.report(usage, true)
  // Before the reply reaches the caller, so that the next check sees what this call cost.
  if (owns) await live.settle({ _tag: "Completed", result: reply })
  return rebuilt(response, text, false)
}

/** SDKs read whatever comes as the stream that they asked for, so what calls itself text, or nothing, is watched like one. */
export const isStream = ({ headers }: Response): boolean => {
  const type = headers.get("content-type") ?? ""
  return type === "" || type.startsWith("text/")
}

const streamed = (body: ReadableStream<Uint8Array>, { hidesUsage, live, owns, signal, wire }: Metering) => {
  const reader = body.getReader()
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  const encoder = new TextEncoder()
  const frames = new SseFrames()

  const broken = (error: unknown) => {
    signal?.removeEventListener("abort", aborted)
    return live.settle({ _tag: "Broken", error })
  }
  const aborted = () => void broken(signal?.reason)
  signal?.addEventListener("abort", aborted, { once: true })
  // A stream that nobody begins to read is given up like one that nobody goes on with.
  live.idle(true)

  // SDKs stop reading at the last event and drop the rest, which breaks nothing.
  let isOver = false

  const completed = async () => {
    isOver = true
    signal?.removeEventListener("abort", aborted)
    if (owns) await live.settle({ _tag: "Completed" })
  }

  let hasFailed = false

  /** False: the frame is ours and does not go on to the caller. */
  const seen = async ({ data }: Frame): Promise<boolean> => {
    // Nothing of value comes after the end: what is sent there all the same is paid for by nobody.
    if (isOver) return false
    if (data === "") return true
    const event = wire.event(data)
    live.meter.part(event.bytes ?? 0)
    if (event.usage !== undefined) live.meter.report(event.usage, event.isLast === true || event.isUsageOnly === true)
    if (event.error !== undefined) {
      hasFailed = true
      await broken(new Error(event.error))
    }
    if (event.isLast === true) await completed()
    return !(hidesUsage && event.isUsageOnly === true)
  }

  const read = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    for (;;) {
      const { done, value } = await reader.read()
      let said = ""
      for (const frame of done ? frames.rest() : frames.push(decoder.decode(value, { stream: true }))) {
        if (await seen(frame)) said += frame.text
      }
      await keepToMaximum(live)
      if (said !== "") controller.enqueue(encoder.encode(said))
      if (done) await completed()
      // The provider's own words about its failure reach the caller, and nothing of value comes after them.
      if (done || hasFailed) controller.close()
      if (done || hasFailed || said !== "") return
    }
  }

  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        live.idle(false)
        try {
          await read(controller)
        } catch (error) {
          const reason = toldOf(live, error)
          await broken(reason)
          controller.error(reason)
        }
        live.idle(true)
      },
      cancel: async (reason) => {
        if (!isOver) await broken(reason ?? new Error("the stream was dropped"))
        await reader.cancel(reason).catch(() => {})
      }
    },
    // No read-ahead: what the caller does not read is neither fetched nor counted.
    { highWaterMark: 0 }
  )
}

const rebuilt = (response: Response, body: string | ReadableStream<Uint8Array>, isShorter: boolean): Response => {
  const headers = new Headers(response.headers)
  if (isShorter) headers.delete("content-length")
  const { status, statusText, url } = response
  const copy = new Response(body, { status, statusText, headers })
  // A response that a program makes has no address of its own; SDKs put it into their errors.
  return Object.defineProperty(copy, "url", { value: url })
}

const parsed = (text: string): { readonly [key: string]: unknown } | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    // Arrays and primitives have no usage.
    return typeof value === "object" && value !== null ? (value as { readonly [key: string]: unknown }) : undefined
  } catch {
    return undefined
  }
}
