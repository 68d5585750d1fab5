import { chat } from "./OpenAiChat.ts"
import { responses } from "./OpenAiResponses.ts"
import type { Endpoint, Provider } from "./Provider.ts"

/** What OpenAI's addresses cost. Everything else that is posted is refused: batches, images, speech, fine-tuning. */
export const openAi: Provider = {
  name: "openai",
  endpoint: (method, path): Endpoint => {
    if (method === "GET" || method === "DELETE") return { _tag: "Free" }
    if (method !== "POST") return { _tag: "Refused" }
    if (path.endsWith("/chat/completions")) return { _tag: "Model", wire: chat }
    if (path.endsWith("/responses")) return { _tag: "Model", wire: responses }
    return { _tag: "Refused" }
  }
}
