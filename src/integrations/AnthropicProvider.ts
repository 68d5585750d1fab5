import { messages } from "./AnthropicMessages.ts"
import type { Endpoint, Provider } from "./Provider.ts"

/** What Anthropic's addresses cost. Everything else that is posted is refused: batches, files, agents. */
export const anthropic: Provider = {
  name: "anthropic",
  endpoint: (method, path): Endpoint => {
    if (method === "GET" || method === "DELETE") return { _tag: "Free" }
    if (method !== "POST") return { _tag: "Refused" }
    if (path.endsWith("/messages/count_tokens") || /\/[^/]+\/[^/]+\/cancel$/.test(path)) return { _tag: "Free" }
    if (path.endsWith("/messages")) return { _tag: "Model", wire: messages }
    return { _tag: "Refused" }
  }
}
