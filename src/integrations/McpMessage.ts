import type { Body } from "./Provider.ts"
import { items, record } from "./Reading.ts"

export type RequestId = string | number

/** A JSON-RPC message of any version of MCP, as far as governance reads it. */
export interface McpMessage {
  readonly id?: RequestId | undefined
  readonly method?: string | undefined
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: unknown
}

/** What a request touches; undefined where it costs and shows nothing that the server does not show to all. */
export type McpTarget =
  | { readonly kind: "tool"; readonly name: string; readonly input: Body }
  | { readonly kind: "api"; readonly name: string; readonly input: Body }

/** Tools by their name; resources and prompts as apis, `resource:<uri>` and `prompt:<name>`, so that a policy can list prefixes. */
export const targetOf = ({ method, params }: McpMessage): McpTarget | undefined => {
  const { arguments: given, name, uri } = record(params)
  switch (method) {
    case "tools/call":
      return { kind: "tool", name: String(name), input: record(given) }
    case "resources/read":
    case "resources/subscribe":
      return { kind: "api", name: `resource:${String(uri)}`, input: { uri } }
    case "prompts/get":
      return { kind: "api", name: `prompt:${String(name)}`, input: { name, arguments: given ?? {} } }
    default:
      return undefined
  }
}

export const isRequest = (
  message: McpMessage
): message is McpMessage & { readonly id: RequestId; readonly method: string } =>
  typeof message.method === "string" && isId(message.id)

export const isReply = (message: McpMessage): message is McpMessage & { readonly id: RequestId } =>
  message.method === undefined && isId(message.id)

/** A request with any other id would never be answered. */
const isId = (id: unknown): id is RequestId => typeof id === "string" || typeof id === "number"

/** The request that a notification calls off. */
export const cancelledBy = ({ id, method, params }: McpMessage): RequestId | undefined => {
  const { requestId } = record(params)
  const isCancel = id === undefined && method === "notifications/cancelled"
  return isCancel && isId(requestId) ? requestId : undefined
}

export const cancellation = (requestId: RequestId, reason: string): McpMessage =>
  ({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId, reason } }) as McpMessage

/** The reply to `tools/list` without those that the agent shall not see (SCP-06). */
export const withTools = (message: McpMessage, isVisible: (tool: string) => boolean): McpMessage => {
  const result = record(message.result)
  return { ...message, result: { ...result, tools: items(result.tools).filter(({ name }) => isVisible(String(name))) } }
}

export const toolNames = ({ result }: McpMessage): ReadonlyArray<string> =>
  items(record(result).tools).map(({ name }) => String(name))
