import type { Body } from "./Provider.ts"

type Fetch = typeof globalThis.fetch

/** A request as it was given to `fetch`, in whichever of its forms. */
export interface Outgoing {
  readonly method: string
  readonly url: string
  /** Without query. */
  readonly path: string
  readonly signal: AbortSignal | null | undefined
  /** Undefined where the body is no text: a form, a stream. */
  readonly text: () => Promise<string | undefined>
  /** As it was, but for the signal and, where it is given, the body. */
  readonly send: (fetch: Fetch, signal: AbortSignal, body?: string) => Promise<Response>
}

/** Reads a request without using its body up. */
export const outgoing = (input: Parameters<Fetch>[0], init: Parameters<Fetch>[1]): Outgoing => {
  const request = input instanceof Request ? input : undefined
  const url = request?.url ?? String(input)
  return {
    url,
    method: (init?.method ?? request?.method ?? "GET").toUpperCase(),
    path: new URL(url, "http://localhost").pathname,
    signal: init?.signal ?? request?.signal,
    text: () => (request !== undefined && init?.body == null ? request.clone().text() : textOf(init?.body)),
    send: (fetch, signal, body) => {
      if (body === undefined) return fetch(input, { ...init, signal })
      const headers = new Headers(init?.headers ?? request?.headers)
      headers.delete("content-length")
      return fetch(request ?? input, {
        ...init,
        method: init?.method ?? request?.method ?? "POST",
        headers,
        body,
        signal
      })
    }
  }
}

/** The JSON object in the request's body; undefined where there is none. */
export const readBody = async (request: Outgoing): Promise<Body | undefined> => parsedBody(await request.text())

/** Undefined where the text is no JSON object. */
export const parsedBody = (text: string | undefined): Body | undefined => {
  try {
    const value: unknown = JSON.parse(text ?? "")
    // Anything but an object is no request that a provider of models takes.
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Body) : undefined
  } catch {
    return undefined
  }
}

const textOf = async (body: BodyInit | null | undefined): Promise<string | undefined> => {
  if (typeof body === "string") return body
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return new TextDecoder().decode(body)
  return body instanceof Blob ? body.text() : undefined
}
