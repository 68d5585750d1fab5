import { chatUsage, withUsage } from "./OpenAiChat.ts"
import type { Body, Wire } from "./Provider.ts"
import { answers, count, eventOf, items, product, utf8Length } from "./Reading.ts"

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
  event: (data) => {
    if (data === "[DONE]") return { isLast: true, usage: {} }
    const event = eventOf(data)
    const choices = items(event.choices)
    const usage = chatUsage(event)
    return {
      bytes: choices.reduce((sum, choice) => sum + utf8Length(choice.text), 0),
      usage,
      isUsageOnly: usage !== undefined && choices.length === 0,
      ...(event.error === undefined ? {} : { error: "the provider reported an error in the stream" })
    }
  }
}

/** A list of texts or of lists of tokens is that many prompts, each answered by itself; a list of tokens is one. */
const prompts = (prompt: Body[string]): number =>
  Array.isArray(prompt) && typeof prompt[0] !== "number" ? Math.max(1, prompt.length) : 1
