import Anthropic from "@anthropic-ai/sdk"
import { governWith } from "../../../src/integrations/Anthropic.ts"
import type { GovernOptions } from "../../../src/integrations/ModelCall.ts"
import { agentId, type ClientWorld, sessionId } from "../ClientWorld.ts"

export const model = "claude-haiku-4-5"
export const messages = [{ role: "user" as const, content: "How is it?" }]
/** Nano-USD a token of `claude-haiku-4-5`. */
export const price = { input: 1000, output: 5000 }

/** A governed client of the world's provider. */
export const clientOf = (
  { governance, provider }: ClientWorld,
  options: Partial<GovernOptions> = {},
  client: Partial<ConstructorParameters<typeof Anthropic>[0]> = {}
): Anthropic =>
  governWith(new Anthropic({ apiKey: "sk-test", baseURL: provider.url, ...client }), {
    governance,
    agentId,
    sessionId,
    ...options
  })
