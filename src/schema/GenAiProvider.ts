import { canonicalProvider } from "./ModelProvider.ts"

/**
 * The well-known value of `gen_ai.provider.name` for a provider, or for a model whose name says whose it is. Undefined where
 * neither does: what a caller wrote there does not leave.
 */
export const providerOf = (provider: string | undefined, model: string | null): string | undefined => {
  const named = provider === undefined ? undefined : wellKnown.get(canonicalProvider(provider.toLowerCase()))
  return named ?? (model === null ? undefined : families.find(([family]) => family.test(model))?.[1])
}

const wellKnown: ReadonlyMap<string, string> = new Map([
  ["openai", "openai"],
  ["anthropic", "anthropic"],
  ["google", "gcp.gen_ai"],
  ["aws", "aws.bedrock"],
  ["azure", "azure.ai.openai"],
  ["mistral", "mistral_ai"],
  ["deepseek", "deepseek"],
  ["x-ai", "x_ai"],
  ["cohere", "cohere"],
  ["groq", "groq"],
  ["perplexity", "perplexity"],
  ["together", "together"],
  ["fireworks", "fireworks"],
  ["cloudflare", "cloudflare"],
  ["moonshotai", "moonshot_ai"]
])

const families: ReadonlyArray<readonly [RegExp, string]> = [
  [/^(?:gpt-|o\d(?:-|$)|chatgpt-|text-embedding-)/, "openai"],
  [/^claude-/, "anthropic"],
  [/^gemini-/, "gcp.gen_ai"],
  [/^(?:mistral|mixtral|ministral|codestral|magistral)-/, "mistral_ai"],
  [/^deepseek-/, "deepseek"],
  [/^grok-/, "x_ai"],
  [/^command-/, "cohere"]
]
