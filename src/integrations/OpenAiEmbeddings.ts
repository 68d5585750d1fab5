import type { Wire } from "./Provider.ts"
import { count, record } from "./Reading.ts"

/** `POST /embeddings`: input is all that it costs. */
export const embeddings: Wire = {
  llm: "llm.openai.embeddings",
  request: (body) => ({ model: String(body.model), maxTokens: 0, stream: false, tools: [] }),
  rewrite: (body, { model }) => ({ body: { ...body, model }, hidesUsage: false }),
  usage: (reply) => {
    const inputTokens = count(record(reply.usage).prompt_tokens)
    return inputTokens === undefined
      ? undefined
      : { ...(typeof reply.model === "string" ? { model: reply.model } : {}), inputTokens, outputTokens: 0 }
  },
  event: () => ({})
}
