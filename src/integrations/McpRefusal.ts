import { isGovernanceError, isHaltError } from "../schema/GovernanceError.ts"

/** A refusal as JSON-RPC says it. */
export interface McpRefusal {
  readonly code: number
  readonly message: string
  readonly data: { readonly error: string; readonly request: string | null }
}

/**
 * For whoever is at the other end: which error, and the request that a person decides. Never a token, nor what the agent may do
 * besides (T-14). Undefined where the error is none of this library.
 */
export const mcpRefusal = (error: unknown): McpRefusal | undefined => {
  if (!isGovernanceError(error) && !isHaltError(error)) return undefined
  const facts = typeof error === "object" && error !== null ? error : {}
  const tag = "_tag" in facts ? String(facts._tag) : "GovernanceError"
  const request = "requestId" in facts && typeof facts.requestId === "string" ? facts.requestId : null
  const data = { error: tag, request }
  if (tag === "ApprovalPending" || tag === "ApprovalTimeout") {
    return {
      code: -32010,
      message: `waits for a person (request ${request}); make the same call again afterwards`,
      data
    }
  }
  return { code: isHaltError(error) ? -32012 : -32011, message: `refused by governance: ${tag}`, data }
}

/** As if it did not exist (SCP-06). */
export const notFound = (kind: string, name: string) => ({ code: -32602, message: `${kind} ${name} not found` })
