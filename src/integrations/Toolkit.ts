import { Context, Effect, Layer, Schema } from "effect"
import { Tool, type Toolkit } from "effect/ai"
import type { ApprovalOptions } from "../schema/CallPlan.ts"
import { InvalidInput } from "../schema/InvalidInput.ts"
import { Gates } from "../services/Gates.ts"
import { governedTool } from "../services/GovernedTool.ts"
import { Governor } from "../services/Governor.ts"
import { Acting } from "./Acting.ts"
import { aiError, isRefusal } from "./AiRefusal.ts"
import { FiberCall } from "./CurrentCall.ts"

/** For whom the tools of a toolkit run, and how. */
export interface ToolkitOptions {
  readonly agentId: string
  readonly sessionId?: string | undefined
  /** What one use costs at most, in dollars, by the name of the tool. */
  readonly maxUsd?: Readonly<Record<string, number | string>> | undefined
  readonly approval?: ApprovalOptions | undefined
  readonly metadata?: unknown
}

/**
 * Puts governance around the handlers of a toolkit: `Tools.toLayer(handlers).pipe(Toolkit.govern(Tools, options))`. Each use is a
 * governed call, whoever makes it. `needsApproval` asks a person through the gate; what a prompt says of an approval counts for
 * nothing (BEY-02, BEY-03).
 */
export const govern =
  <Tools extends Record<string, Tool.Any>>(toolkit: Toolkit.Toolkit<Tools>, options: ToolkitOptions) =>
  <E, R>(
    handlers: Layer.Layer<Tool.HandlersFor<Tools>, E, R>
  ): Layer.Layer<Tool.HandlersFor<Tools>, E, R | Governor | Gates> =>
    Layer.effectContext(
      Effect.map(Effect.context<Tool.HandlersFor<Tools> | Governor | Gates>(), (services) => {
        const rooms = Context.pick(Governor, Gates)(services)
        const wrapped = Object.values(toolkit.tools).flatMap((tool) => {
          const found = handlerOf(services, tool)
          return found === undefined
            ? []
            : [[tool.id, { ...found, handler: gated(tool, found, options, rooms) }] as const]
        })
        // The same handlers by the same keys.
        return Context.makeUnsafe(new Map<string, unknown>(wrapped)) as Context.Context<Tool.HandlersFor<Tools>>
      })
    ).pipe(Layer.provide(handlers))

/**
 * The tools as a governed model runs them: where the gate asks, the framework does not ask as well. Warns of those that run
 * ungoverned. `isCurrent`: the handlers are those of these services.
 */
export const knownTools = <Tools extends Record<string, Tool.Any>>(
  handled: Toolkit.WithHandler<Tools>,
  services: Context.Context<never>,
  isCurrent: boolean
): Effect.Effect<Toolkit.WithHandler<Tools>> => {
  const isGoverned = (tool: Tool.Any) => {
    const found = handlerOf(services, tool)
    return found !== undefined && governed.has(found.handler)
  }
  const open = Object.values(handled.tools).filter((tool) => !warned.has(tool) && !isGoverned(tool) && isRunHere(tool))
  for (const tool of open) warned.add(tool)
  const warning = Effect.logWarning("tool.ungoverned", {
    tools: open.map(({ name }) => name),
    effect: "they run without scope, budget and approval; see Toolkit.govern"
  })
  const tools = Object.entries(handled.tools).map(([name, tool]) => [
    name,
    isCurrent && isGoverned(tool) ? tool.setNeedsApproval(false) : tool
  ])
  // The same names, and tools of the same types.
  const known = { ...handled, tools: Object.fromEntries(tools) as Tools }
  return open.length === 0 ? Effect.succeed(known) : Effect.as(warning, known)
}

const warned = new WeakSet<Tool.Any>()
/** What a provider runs itself has no handler. */
const isRunHere = (tool: Tool.Any): boolean => !Tool.isProviderDefined(tool) || tool.requiresHandler

/** A use of a tool that a layer above has let through: the tool's own handler does not count it again. */
export const GovernedUse = Context.Reference<
  { readonly agentId: string; readonly tool: string; readonly isAsked: boolean } | undefined
>("effect-governance/integrations/Toolkit/GovernedUse", { defaultValue: () => undefined })

/** Whether a tool says that a person has to be asked for these arguments, which came from outside. */
export const asksForPerson = (tool: Tool.Any, input: unknown): Effect.Effect<boolean> =>
  tool.needsApproval === undefined || tool.needsApproval === false
    ? Effect.succeed(false)
    : codec(tool)
        .decode(input)
        .pipe(
          Effect.flatMap((params) => asksFirst(tool, params, {})),
          // Its handler will never see such arguments.
          Effect.orElseSucceed(() => true)
        )

type Handler = Tool.Handler<string>
type HandlerFunction = Handler["handler"]
type HandlerContext = Toolkit.HandlerContext<Tool.Any>

const governed = new WeakSet<HandlerFunction>()

const handlerOf = (services: Context.Context<never>, tool: Tool.Any): Handler | undefined =>
  // A toolkit keeps the handler of a tool under its id; a provider's own tool has none.
  services.mapUnsafe.get(tool.id) as Handler | undefined

const gated = (
  tool: Tool.Any,
  { handler }: Handler,
  { approval, maxUsd, metadata, ...layered }: ToolkitOptions,
  services: Context.Context<Governor | Gates>
): HandlerFunction => {
  const { decode, encode } = codec(tool)
  if (governed.has(handler)) return handler
  /** What the handler itself calls, of models or tools, are calls of their own. */
  const inner = (params: unknown, context: HandlerContext) =>
    Effect.provideContext(
      handler(params, context),
      Context.make(FiberCall, null).pipe(Context.add(GovernedUse, undefined))
    )
  const run: HandlerFunction = (params: unknown, context: HandlerContext) =>
    Effect.gen(function* () {
      const required = approval?.required === true || (yield* asksFirst(tool, params, context))
      const { agentId = layered.agentId, sessionId = layered.sessionId } = yield* Acting
      const outer = yield* GovernedUse
      const isJoined = outer?.agentId === agentId && outer.tool === tool.name && (outer.isAsked || !required)
      if (isJoined) return yield* inner(params, context)
      const input = yield* encode(params)
      const { toolCallId } = context
      const use = governedTool({
        ...{ agentId, sessionId, tool: tool.name, metadata },
        maxUsd: maxUsd !== undefined && Object.hasOwn(maxUsd, tool.name) ? maxUsd[tool.name] : undefined,
        approval: required ? { ...approval, required } : approval,
        // The model chose this id, so it counts in its own session only.
        callKey: toolCallId === undefined ? undefined : `${sessionId ?? ""}/${toolCallId}`
      })
      return yield* use((approved) =>
        Effect.flatMap(decode(approved), (decoded) => Effect.provideService(handler(decoded, context), FiberCall, null))
      )(input)
    }).pipe(
      Effect.catch((error) => {
        if (!isRefusal(error)) return Effect.fail(error)
        // A framework that hands failures to the model would swallow a halt.
        if (error._tag === "AgentHaltedError" && tool.failureMode === "return") return Effect.die(error)
        return Effect.fail(aiError("Toolkit", `${tool.name}.handle`, error))
      }),
      Effect.provideContext(services)
    )
  governed.add(run)
  return run
}

/** The arguments as JSON for the rooms, and back: what a reviewer put in their place has to be arguments too. */
const codec = (tool: Tool.Any) => {
  const { parametersSchema } = tool
  if (!Schema.isSchema(parametersSchema)) return { encode: Effect.succeed<unknown>, decode: Effect.succeed<unknown> }
  const bad = () => new InvalidInput({ field: "input", problem: "is not what the tool's parameters say" })
  // The services of its schemas are among the requirements of whoever handles the tool.
  const schema = parametersSchema as Schema.Codec<unknown, unknown>
  const encode = Schema.encodeUnknownEffect(schema)
  const decode = Schema.decodeUnknownEffect(schema)
  return {
    encode: (value: unknown) => Effect.mapError(encode(value), bad),
    decode: (value: unknown) => Effect.mapError(decode(value), bad)
  }
}

/** What the tool itself says. A function that cannot be answered here, or that fails, asks a person (fail closed). */
const asksFirst = (
  tool: Tool.Any,
  params: unknown,
  { toolCallId = "" }: Pick<HandlerContext, "toolCallId">
): Effect.Effect<boolean> => {
  const { needsApproval } = tool
  if (typeof needsApproval !== "function") return Effect.succeed(needsApproval === true)
  return Effect.suspend(() => {
    let isBlind = false
    const asked = needsApproval(params, {
      toolCallId,
      get messages() {
        isBlind = true
        return []
      }
    })
    const answer = Effect.isEffect(asked) ? asked : Effect.succeed(asked)
    return Effect.map(answer, (yes) => yes || isBlind)
  }).pipe(Effect.catchCause(() => Effect.succeed(true)))
}
