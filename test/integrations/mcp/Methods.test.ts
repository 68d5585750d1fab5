import { assert, describe, it } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { CallToolResultSchema, ClientRequestSchema, ServerRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { governClientWith } from "../../../src/integrations/Mcp.ts"
import { targetOf } from "../../../src/integrations/McpMessage.ts"
import { isGovernanceError } from "../../../src/schema/GovernanceError.ts"
import { agentId, connect, newClient, newServer, openWorld, rejection, sessionId } from "./World.ts"

/** Everything that a prototype has, up to Object's. */
const methodsOf = (constructor: abstract new (...args: never) => object): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (let at = constructor.prototype; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) if (name !== "constructor") found.add(name)
  }
  return [...found].sort()
}
const words = (text: string) => text.trim().split(/\s+/)

/** Nothing of these leaves the process, or they are what a connection is made and kept with. */
const inner = words(`
  _cleanupTaskProgressHandler _cleanupTimeout _clearTaskQueue _enqueueTaskMessage _oncancel _onclose _onerror _onnotification
  _onprogress _onrequest _onresponse _resetTimeout _setupTimeout _waitForTaskUpdate assertCanSetRequestHandler
  assertCapabilityForMethod assertNotificationCapability assertRequestHandlerCapability assertTaskCapability
  assertTaskHandlerCapability close connect experimental notification ping registerCapabilities removeNotificationHandler
  removeRequestHandler requestTaskStore setNotificationHandler setRequestHandler transport
`)

const client = {
  /** Can carry `tools/call`, `resources/read` and `prompts/get`. */
  governed: words("callTool getPrompt readResource request requestStream subscribeResource"),
  /** Lists, settings, completions; what tools have already been let run. */
  free: words(`
    cancelTask complete getTask getTaskResult listPrompts listResourceTemplates listResources listTasks listTools
    sendRootsListChanged setLoggingLevel unsubscribeResource
  `),
  inner: [
    ...inner,
    ...words(`
      _setupListChangedHandler _setupListChangedHandlers assertCapability cacheToolMetadata getInstructions getServerCapabilities
      getServerVersion getToolOutputValidator isToolTask isToolTaskRequired
    `)
  ]
}

const server = {
  /** What a server asks of the one at the other end, whose own client answers: out of reach here. */
  outOfReach: words("createMessage elicitInput listRoots request requestStream"),
  free: words(`
    cancelTask createElicitationCompletionNotifier getTask getTaskResult listTasks sendLoggingMessage sendPromptListChanged
    sendResourceListChanged sendResourceUpdated sendToolListChanged
  `),
  inner: [...inner, ...words("_oninitialize getCapabilities getClientCapabilities getClientVersion")]
}

const mcpServer = words(`
  _createRegisteredPrompt _createRegisteredResource _createRegisteredResourceTemplate _createRegisteredTool close connect
  createToolError executeToolHandler experimental handleAutomaticTaskPolling handlePromptCompletion handleResourceCompletion
  isConnected prompt registerPrompt registerResource registerTool resource sendLoggingMessage sendPromptListChanged
  sendResourceListChanged sendToolListChanged setCompletionRequestHandler setPromptRequestHandlers setResourceRequestHandlers
  setToolRequestHandlers tool validateToolInput validateToolOutput
`)

/** Requests of the protocol itself: whether they are governed where they pass. */
const requests: Record<string, "governed" | "free"> = {
  "completion/complete": "free",
  initialize: "free",
  "logging/setLevel": "free",
  ping: "free",
  "prompts/get": "governed",
  "prompts/list": "free",
  "resources/list": "free",
  "resources/read": "governed",
  "resources/subscribe": "governed",
  "resources/templates/list": "free",
  "resources/unsubscribe": "free",
  "tasks/cancel": "free",
  "tasks/get": "free",
  "tasks/list": "free",
  "tasks/result": "free",
  "tools/call": "governed",
  "tools/list": "free"
}

const wireMethods = (schema: { readonly options: ReadonlyArray<{ readonly shape: { readonly method: unknown } }> }) =>
  schema.options.map(({ shape }) => String(Object(shape.method).value)).sort()

describe("Every way through the official SDK of MCP (THR-05)", () => {
  it("a method that an update adds has to be judged here first", () => {
    assert.deepStrictEqual(methodsOf(Client), Object.values(client).flat().sort())
    assert.deepStrictEqual(methodsOf(Server), Object.values(server).flat().sort())
    assert.deepStrictEqual(methodsOf(McpServer), [...mcpServer].sort())
    const agent = newClient()
    assert.deepStrictEqual(
      methodsOf(agent.experimental.tasks.constructor as never),
      words("callToolStream cancelTask getTask getTaskResult listTasks requestStream")
    )
  })

  it("so does a request of the protocol, in either direction", () => {
    assert.deepStrictEqual(wireMethods(ClientRequestSchema), Object.keys(requests).sort())
    assert.deepStrictEqual(
      wireMethods(ServerRequestSchema),
      words("elicitation/create ping roots/list sampling/createMessage tasks/cancel tasks/get tasks/list tasks/result")
    )
    for (const [method, judged] of Object.entries(requests)) {
      const target = targetOf({ id: 1, method, params: { name: "a", uri: "b:c" } })
      assert.strictEqual(target === undefined ? "free" : "governed", judged, method)
    }
  })

  it("what is governed is refused to an agent that may do nothing, and its server hears nothing", async () => {
    await using world = await openWorld({ scope: { allowedTools: [], allowedApis: [] } })
    const ran: Array<unknown> = []
    const agent = governClientWith(newClient(), {
      ...{ governance: world.governance, agentId, sessionId, server: "shop" }
    })
    await connect(newServer(ran), agent)
    const call = { method: "tools/call", params: { name: "lookup" } } as const
    const ways: Record<string, () => Promise<unknown>> = {
      callTool: () => agent.callTool({ name: "lookup" }),
      getPrompt: () => agent.getPrompt({ name: "sort" }),
      readResource: () => agent.readResource({ uri: "file:///notes/a" }),
      request: () => agent.request(call, CallToolResultSchema),
      requestStream: async () => {
        // Protected, and reached through `experimental.tasks`: it says errors as parts.
        for await (const part of agent.experimental.tasks.requestStream(call, CallToolResultSchema)) {
          if (part.type === "error")
            throw new Error("refused", {
              cause: { _tag: /ScopeViolation|may not/.test(part.error.message) ? "ScopeViolation" : part.error.message }
            })
        }
      },
      subscribeResource: () => agent.subscribeResource({ uri: "file:///notes/a" })
    }
    assert.deepStrictEqual(Object.keys(ways), client.governed)
    for (const [name, way] of Object.entries(ways)) assert.isTrue(isGovernanceError(await rejection(way())), name)
    assert.deepStrictEqual(ran, [])
    await agent.listTools()
    await agent.ping()
  })
})
