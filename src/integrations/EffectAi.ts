/** Governed `effect/ai` as Layers: language models, embeddings, tools, MCP servers, and the HTTP client below them (BEY-03). */
export { type AiRefusal, refusalIn, refusals } from "./AiRefusal.ts"
export { anthropic } from "./AnthropicProvider.ts"
export * as EmbeddingModel from "./EmbeddingModel.ts"
export * as HttpClient from "./HttpClient.ts"
export * as LanguageModel from "./LanguageModel.ts"
export * as McpServer from "./McpServer.ts"
export { openAi } from "./OpenAiProvider.ts"
export * as Toolkit from "./Toolkit.ts"
