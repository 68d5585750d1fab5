/** Which path speaks which format. */
import { anthropicError, countBody, messageBatchBody, messageBody, messageEvents } from "./FakeAnthropic.ts"
import type { Payload } from "./FakeDelivery.ts"
import {
  batchBody,
  chatBody,
  chatEvents,
  completionBody,
  completionEvents,
  embeddingBody,
  modelsBody,
  openAiError
} from "./FakeOpenAi.ts"
import { responseBody, responseEvents } from "./FakeOpenAiResponses.ts"
import type { FakeBody, FakeReply, Said } from "./FakeReply.ts"
import { say } from "./FakeReply.ts"

interface Asked {
  readonly index: number
  readonly method: string
  readonly path: string
  readonly body: FakeBody
}

interface Format {
  readonly body: (said: Said) => object
  readonly events?: (said: Said) => ReadonlyArray<string>
  readonly error: (status: number, message: string) => object
}

/** The answer to each request of one provider, which remembers its background responses; nothing for an unknown path. */
export const routes = () => {
  const background = new Map<string, { readonly said: Said; polls: number }>()

  const retrieved = (id: string): Format => ({
    body: () => {
      const kept = background.get(id)
      if (kept === undefined) return openAiError(404, `Response with id '${id}' not found.`)
      return kept.polls-- > 0 ? responseBody(kept.said, "in_progress") : responseBody(kept.said)
    },
    error: openAiError
  })

  const responses: Format = {
    body: (said) => {
      if (said.body.background !== true) return responseBody(said)
      background.set(`resp_${said.id}`, { said, polls: said.reply.pendingPolls ?? 0 })
      return responseBody(said, "queued")
    },
    events: responseEvents,
    error: openAiError
  }

  const formatOf = ({ method, path }: Asked): Format | undefined => {
    if (method === "GET") {
      const id = /^\/v1\/responses\/([\w-]+)$/.exec(path)?.[1]
      if (id !== undefined) return retrieved(id)
      return path === "/v1/models" ? { body: () => modelsBody, error: openAiError } : undefined
    }
    if (method !== "POST") return undefined
    if (path === "/v1/responses") return responses
    return posted[path] ?? (azureChat.test(path) ? chat : undefined)
  }

  return (asked: Asked, reply: FakeReply): Payload | undefined => {
    const format = formatOf(asked)
    if (format === undefined) return undefined
    const said = say(asked.index, reply, asked.body)
    const status = reply.status ?? 200
    const stream = asked.body.stream === true && format.events !== undefined && status < 400
    if (reply.malformed === true) {
      return stream
        ? { kind: "events", events: ['data: {"id":"fake","choi\n\n'] }
        : { kind: "body", status, text: '{"id":"fake","choi' }
    }
    if (reply.body !== undefined) {
      return { kind: "body", status, text: typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body) }
    }
    if (status >= 400) {
      const message = reply.errorMessage ?? `The script says ${status}.`
      return { kind: "body", status, text: JSON.stringify(format.error(status, message)) }
    }
    if (stream && format.events !== undefined) return { kind: "events", events: format.events(said) }
    return { kind: "body", status, text: JSON.stringify(format.body(said)) }
  }
}

const chat: Format = { body: chatBody, events: chatEvents, error: openAiError }

const azureChat = /^\/openai\/deployments\/[^/]+\/chat\/completions$/

const posted: Readonly<Record<string, Format>> = {
  "/v1/chat/completions": chat,
  "/v1/completions": { body: completionBody, events: completionEvents, error: openAiError },
  "/v1/embeddings": { body: embeddingBody, error: openAiError },
  "/v1/batches": { body: batchBody, error: openAiError },
  "/v1/messages": { body: messageBody, events: messageEvents, error: anthropicError },
  "/v1/messages/count_tokens": { body: countBody, error: anthropicError },
  "/v1/messages/batches": { body: messageBatchBody, error: anthropicError }
}
