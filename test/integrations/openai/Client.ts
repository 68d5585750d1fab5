import OpenAI from "openai"
import { governWith, type OpenAiOptions } from "../../../src/integrations/OpenAi.ts"
import { agentId, type ClientWorld, sessionId } from "../ClientWorld.ts"

export const model = "gpt-4o-mini"
export const messages = [{ role: "user" as const, content: "How is it?" }]
/** Nano-USD a token of `gpt-4o-mini`. */
export const price = { input: 150, output: 600 }

/** A governed client of the world's provider. */
export const clientOf = (
  { governance, provider }: ClientWorld,
  options: Partial<OpenAiOptions> = {},
  client: Partial<ConstructorParameters<typeof OpenAI>[0]> = {}
): OpenAI =>
  governWith(new OpenAI({ apiKey: "sk-test", baseURL: provider.openAiUrl, ...client }), {
    governance,
    agentId,
    sessionId,
    ...options
  })
