/** Whose ids need no provider, in the order in which they are asked: Claude is Anthropic's before it is Google's. */
export const makers: ReadonlyArray<string> = [
  "openai",
  "anthropic",
  "google",
  "mistral",
  "deepseek",
  "x-ai",
  "cohere",
  "moonshotai",
  "minimax",
  "zhipuai",
  "voyageai",
  "typesafe",
  "cursor",
  "cloudflare",
  "fireworks"
]

/** The price book's word for a provider; those of the AI SDK, LangChain, LiteLLM and OpenTelemetry are understood. */
export const canonicalProvider = (provider: string): string => aliases.get(provider) ?? provider

const synonyms: Record<string, ReadonlyArray<string>> = {
  openai: ["openai.chat", "openai.responses", "openai.completion", "openai.embedding"],
  anthropic: ["anthropic.messages"],
  google: [
    "gemini",
    "vertex",
    "vertexai",
    "vertex-ai",
    "vertex_ai",
    "google-vertex",
    "google-vertexai",
    "google-genai",
    "google.generative-ai",
    "google.vertex.chat",
    "gcp.gemini",
    "gcp.vertex_ai"
  ],
  aws: ["bedrock", "amazon-bedrock", "amazon", "aws.bedrock"],
  azure: ["azure-openai", "azure_openai", "azure.chat", "azure.responses", "azure.ai.openai"],
  mistral: ["mistralai", "mistral.chat", "mistral_ai"],
  "x-ai": ["xai", "xai.chat", "x_ai"],
  groq: ["groq.chat"],
  together: ["together-ai", "together_ai", "togetherai"],
  fireworks: ["fireworks-ai"],
  cloudflare: ["workers-ai"]
}

const aliases: ReadonlyMap<string, string> = new Map(
  Object.entries(synonyms).flatMap(([provider, names]) => names.map((name): [string, string] => [name, provider]))
)
