import type { ReportedUsage } from "./Meter.ts"
import type { Address } from "./Ungoverned.ts"

/** A parsed JSON object of a request or a reply. */
export type Body = { readonly [key: string]: unknown }

/** What a request says, as far as governance cares. */
export interface ModelRequest {
  readonly model: string
  /** All that the provider may answer with: the declared maximum times the number of answers. Undefined when none is declared. */
  readonly maxTokens: number | undefined
  readonly stream: boolean
  /** The names of the tools that the model gets to see. */
  readonly tools: ReadonlyArray<string>
  /** What makes it dearer than its tokens are in the price book, as a field and its value. */
  readonly surcharge?: Address | undefined
}

/** What is sent instead of what the caller wrote. */
export interface Rewrite {
  /** The model that routing chose; the caller's own where it chose none. */
  readonly model: string
  /** False hides a tool from the model (SCP-06). */
  readonly isVisible: (tool: string) => boolean
}

export interface Rewritten {
  readonly body: Body
  /** Usage was asked for by us: the event that brings it is not the caller's and MUST NOT reach him. */
  readonly hidesUsage: boolean
}

/** One event of a stream, as far as governance cares. */
export interface StreamEvent {
  /** How many bytes of answer it brings. */
  readonly bytes?: number | undefined
  readonly usage?: ReportedUsage | undefined
  /** Nothing that counts comes after it. The SDKs stop reading here, before the stream ends. */
  readonly isLast?: boolean | undefined
  /** It brings usage and nothing else. */
  readonly isUsageOnly?: boolean | undefined
  /** The provider says in the stream that it failed. */
  readonly error?: string | undefined
}

/** How one kind of request of a provider is read. Pure. */
export interface Wire {
  /** The sentinel name of the call for scope policies (OQ-08). */
  readonly llm: string
  readonly request: (body: Body) => ModelRequest
  readonly rewrite: (body: Body, to: Rewrite) => Rewritten
  /** Undefined where the reply says nothing of usage. */
  readonly usage: (reply: Body) => ReportedUsage | undefined
  /** `data` of one server-sent event. */
  readonly event: (data: string) => StreamEvent
}

/** What may happen at one address of a provider. */
export type Endpoint =
  | { readonly _tag: "Model"; readonly wire: Wire }
  /** Costs nothing: lists, counts, what was stored before. */
  | { readonly _tag: "Free" }
  /** May cost money that nobody can bound before the call: refused unless the program allows it by name. */
  | { readonly _tag: "Refused" }

/** One provider's table of addresses. What is not in it is refused (default deny). */
export interface Provider {
  /** The price book's name. */
  readonly name: string
  /** `path` without query; with or without the base path of the API. */
  readonly endpoint: (method: string, path: string) => Endpoint
}
