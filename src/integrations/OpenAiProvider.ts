import { chat } from "./OpenAiChat.ts"
import { completions } from "./OpenAiCompletions.ts"
import { embeddings } from "./OpenAiEmbeddings.ts"
import { responses } from "./OpenAiResponses.ts"
import type { Endpoint, Provider } from "./Provider.ts"

/**
 * What OpenAI's addresses cost. Everything else that is posted is refused: batches, images, speech, video, fine-tuning, evals,
 * containers, vector stores, assistants and agents, uploads, and the keys to what runs past `fetch` (realtime, live).
 */
export const openAi: Provider = {
  name: "openai",
  endpoint: (method, path): Endpoint => {
    if (method === "GET" || method === "DELETE") return { _tag: "Free" }
    if (method !== "POST") return { _tag: "Refused" }
    const wire = models.find(([end]) => path.endsWith(end))?.[1]
    if (wire !== undefined) return { _tag: "Model", wire }
    return { _tag: free.some((end) => end.test(path)) ? "Free" : "Refused" }
  }
}

// The longer ends come first: `/chat/completions` ends like `/completions`.
const models = [
  ["/chat/completions", chat],
  ["/completions", completions],
  ["/responses", responses],
  ["/embeddings", embeddings]
] as const

/** Judging and counting cost nothing; cancelling stops what costs. */
const free = [/\/moderations$/, /\/responses\/input_tokens$/, /\/[^/]+\/[^/]+\/cancel$/]
