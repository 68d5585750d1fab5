/** What a fake provider shall answer: one script for every wire format. A field left out means a short, ordinary answer. */
export interface FakeReply {
  readonly text?: string
  readonly toolCalls?: ReadonlyArray<FakeToolCall>
  /** Left out: 10 in and as many out as the text is long; `null`: the provider reports none. */
  readonly usage?: FakeUsage | null
  /** The model that the answer names; otherwise the one that was asked for. */
  readonly model?: string
  /** From 400 on the body is an error in the format of the path. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as `Retry-After`, in seconds. */
  readonly retryAfter?: number
  readonly errorMessage?: string
  /** Sent instead of the body that belongs to the path: a string as it is, anything else as JSON. */
  readonly body?: unknown
  /** 200, and then text that is no JSON. */
  readonly malformed?: boolean
  /** Into how many deltas a stream cuts the text; 4 unless said. */
  readonly chunks?: number
  /** Characters per delta; goes before `chunks`. */
  readonly chunkSize?: number
  /** Bytes per write on the socket, so that events arrive cut in the middle. */
  readonly bytesPerWrite?: number
  /** Milliseconds before the first byte. */
  readonly delayFirstMs?: number
  /** Milliseconds between two events of a stream. */
  readonly delayMs?: number
  /** The socket dies after so many events of a stream, or in the middle of a JSON body; 0: before the first byte. */
  readonly dieAfterChunks?: number
  /** Nothing more is sent after so many events, and the socket stays open; `true`: nothing at all. */
  readonly hang?: boolean | number
  /** Answers longer than the request allowed. */
  readonly ignoreMaxTokens?: boolean
  /** How many `message_delta` events Anthropic's stream spreads its cumulative usage over; 1 unless said. */
  readonly usageDeltas?: number
  /** How many times a background response is still `in_progress` when it is retrieved. */
  readonly pendingPolls?: number
}

export interface FakeToolCall {
  readonly name: string
  /** A string goes out as it is, so it may be broken JSON. */
  readonly arguments: unknown
  readonly id?: string
}

/** Tokens. `input` is what came from no cache; `reasoning` is part of `output`. */
export interface FakeUsage {
  readonly input: number
  readonly output: number
  readonly cacheRead?: number
  readonly cacheWrite?: number
  readonly cacheWrite1h?: number
  readonly reasoning?: number
}

/** The fields of a request body that a provider looks at, in any of its formats; the rest is there too. */
export interface FakeBody {
  readonly model?: string
  readonly stream?: boolean
  readonly stream_options?: { readonly include_usage?: boolean } | null
  readonly max_tokens?: number | null
  readonly max_completion_tokens?: number | null
  readonly max_output_tokens?: number | null
  readonly n?: number | null
  readonly background?: boolean | null
  readonly [field: string]: unknown
}

/** A reply made definite for one request: what is said, what it cost, and whether the limit cut it. */
export interface Said {
  readonly id: string
  readonly model: string
  readonly text: string
  readonly deltas: ReadonlyArray<string>
  readonly tools: ReadonlyArray<{ readonly id: string; readonly name: string; readonly json: string }>
  readonly usage: Required<FakeUsage> | null
  readonly cut: boolean
  readonly reply: FakeReply
  readonly body: FakeBody
}

/** Four characters are a token here, as good as any rule for a fake. */
export const say = (index: number, reply: FakeReply, body: FakeBody): Said => {
  const tools = (reply.toolCalls ?? []).map((call, i) => ({
    id: call.id ?? `call_${index}_${i}`,
    name: call.name,
    json: typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments)
  }))
  const whole = reply.text ?? (tools.length === 0 ? "All is well, says the fake model." : "")
  const allowed = reply.ignoreMaxTokens === true ? undefined : limitOf(body)
  const text = allowed === undefined ? whole : whole.slice(0, allowed * 4)
  const spoken = tokens(text) + tools.reduce((sum, tool) => sum + tokens(tool.json), 0)
  const output = reply.usage?.output ?? spoken
  return {
    id: `fake_${index}`,
    model: reply.model ?? body.model ?? "fake-model",
    text,
    deltas: cutUp(text, reply),
    tools,
    usage:
      reply.usage === null
        ? null
        : {
            cacheRead: 0,
            cacheWrite: 0,
            cacheWrite1h: 0,
            reasoning: 0,
            input: 10,
            ...reply.usage,
            output: Math.min(output, allowed ?? output)
          },
    cut: text.length < whole.length || output > (allowed ?? output),
    reply,
    body
  }
}

/** The text in pieces as a stream sends them; also used for the JSON of tool calls. */
export const cutUp = (text: string, reply: FakeReply): ReadonlyArray<string> => {
  const size = reply.chunkSize ?? Math.max(1, Math.ceil(text.length / (reply.chunks ?? 4)))
  const pieces: Array<string> = []
  for (let at = 0; at < text.length; at += size) pieces.push(text.slice(at, at + size))
  return pieces
}

/** Whole seconds, as the formats want them; no test depends on the hour. */
export const created = 1_780_000_000

const limitOf = (body: FakeBody) => body.max_output_tokens ?? body.max_completion_tokens ?? body.max_tokens ?? undefined

const tokens = (text: string) => Math.ceil(text.length / 4)
