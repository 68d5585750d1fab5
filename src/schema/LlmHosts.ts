/**
 * Hosts that answer as language models, known on 2026-11-21. `*` stands for part of one label; `*.` in front for one label
 * or more. A provider that is missing here is not counted: `coverageHosts` adds what a deployment uses besides (BEY-13).
 */
export const llmHosts: ReadonlyArray<string> = [
  "api.openai.com",
  "*.api.openai.com",
  "*.openai.azure.com",
  "*.services.ai.azure.com",
  "*.cognitiveservices.azure.com",
  "models.github.ai",
  "api.githubcopilot.com",
  "api.anthropic.com",
  "generativelanguage.googleapis.com",
  "aiplatform.googleapis.com",
  "*-aiplatform.googleapis.com",
  "bedrock-runtime.*.amazonaws.com",
  "bedrock-runtime-fips.*.amazonaws.com",
  "api.mistral.ai",
  "codestral.mistral.ai",
  "api.groq.com",
  "openrouter.ai",
  "api.together.xyz",
  "api.fireworks.ai",
  "api.deepseek.com",
  "api.x.ai",
  "*.api.x.ai",
  "api.cohere.com",
  "api.cohere.ai",
  "api.perplexity.ai",
  "api.cerebras.ai",
  "api.sambanova.ai",
  "api.moonshot.ai",
  "api.moonshot.cn",
  "api.deepinfra.com",
  "api.replicate.com",
  "router.huggingface.co",
  "api-inference.huggingface.co",
  "integrate.api.nvidia.com",
  "dashscope.aliyuncs.com",
  "dashscope-intl.aliyuncs.com",
  "gateway.ai.cloudflare.com",
  "ai-gateway.vercel.sh"
]

/** Whether a text can stand in `coverageHosts`: a host, with `*` where the list above has it, and a port if only that one counts. */
export const isHostPattern = (text: string): boolean =>
  text.length <= 255 && /^(?:\*\.)?(?:[A-Za-z0-9*_.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(text)

/** Decides about an authority (`host` or `host:port`, lower case): true when its calls are calls to a language model. */
export const hostMatcher = (patterns: ReadonlyArray<string>): ((authority: string) => boolean) => {
  const rules = patterns.map(ruleOf)
  return (authority) => {
    const host = authority.replace(/:\d+$/, "")
    return rules.some(({ expression, withPort }) => expression.test(withPort ? authority : host))
  }
}

const ruleOf = (pattern: string) => {
  const lower = pattern.toLowerCase()
  const anyAbove = lower.startsWith("*.")
  // A port that its protocol has anyway is left out of what is asked about, as in a URL.
  const plain = (anyAbove ? lower.slice(2) : lower).replace(/:(?:443|80)$/, "")
  const body = plain.replace(/[.[\]]/g, "\\$&").replace(/\*/g, "[^.:]+")
  return {
    expression: new RegExp(`^${anyAbove ? "(?:[^.:]+\\.)+" : ""}${body}$`),
    withPort: /:\d+$/.test(lower)
  }
}
