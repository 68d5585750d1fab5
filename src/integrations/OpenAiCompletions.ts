import { chatUsage, chunkOf, withUsage } from "./OpenAiChat.ts"
import type { Body, Wire } from "./Provider.ts"
import { answers, count, product, utf8Length } from "./Reading.ts"

/** `POST /completions`, OpenAI's oldest. Without `max_tokens` the provider stops at 16. */
export const completions: Wire = {
  llm: "llm.openai.completions",
  request: (body) => ({
    model: String(body.model),
    maxTokens: product(
      body.max_tokens == null ? 16 : count(body.max_tokens),
      answers(body.n, body.best_of),
      prompts(body.prompt)
    ),
    stream: body.stream === true,
    tools: []
  }),
  rewrite: (body, { model }) => withUsage({ ...body, model }),
  usage: (reply) => chatUsage(reply),
  event: (data) => chunkOf(data, (choice) => utf8Length(choice.text))
}

/** A list of texts or of lists of tokens is that many prompts, each answered by itself; a list of tokens is one. */
const prompts = (prompt: Body[string]): number =>
  Array.isArray(prompt) && typeof prompt[0] !== "number" ? Math.max(1, prompt.length) : 1
