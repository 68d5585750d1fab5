import { Effect, Layer, Schema, Stream } from "effect"
import { AiError, LanguageModel, Prompt, Response, Tool } from "effect/ai"
import { InvalidInput } from "../schema/InvalidInput.ts"
import type { JsonValue } from "../schema/Json.ts"
import { type AiOptions, type AiRequest, make as makeCalls } from "./AiCall.ts"
import { aiError } from "./AiRefusal.ts"
import {
  lower,
  lowerStream,
  type ObjectOptions,
  objectOf,
  type Reply,
  shown,
  streamOf,
  type TextOptions,
  textOf,
  upper,
  upperStream
} from "./AnyModel.ts"
import { current } from "./CurrentCall.ts"
import { knownTools } from "./Toolkit.ts"

export interface LanguageModelOptions extends AiOptions {
  /** What one answer may have at most: it is held, since `effect/ai` tells nobody what the provider is asked for. */
  readonly maxOutputTokens: number
}

/**
 * Takes the `LanguageModel` below and provides it again, with every request to the provider as one governed call (BEY-03). Tools
 * run after their request is settled. Refusals are the `cause` of an `AiError`: `refusals` gives them back as what they are.
 */
export const layer = (options: LanguageModelOptions) => Layer.effect(LanguageModel.LanguageModel, make(options))

/** The same as an effect, for a program that holds its model as a value. */
export const make = Effect.fnUntraced(function* (options: LanguageModelOptions) {
  const inner = yield* LanguageModel.LanguageModel
  if (governed.has(inner)) {
    yield* Effect.logWarning("wrapper.already_governed", { wrapper: "effect-ai", effect: "the model stays as it is" })
    return inner
  }
  const calls = yield* makeCalls("LanguageModel", options)

  const asked = Effect.fnUntraced(
    function* (method: Method, o: LanguageModel.ProviderOptions) {
      const tools = yield* calls.visible(o.tools)
      const request: AiRequest = {
        ...{ module, method, llm: `llm.effect.${method}`, maxTokens: options.maxOutputTokens },
        input: yield* inputOf(o, tools),
        tools: tools.map(({ name }) => name)
      }
      const passed: TextOptions = {
        prompt: o.prompt,
        toolkit: shown(tools),
        toolChoice: chosen(o.toolChoice, request.tools),
        // Tools are run by the model above, when this request is settled; it looks at their arguments too.
        disableToolCallResolution: true,
        toolCallValidation: "deferred"
      }
      return { request, passed }
    },
    (self, method) => Effect.mapError(self, (error) => aiError(module, method, error))
  )

  const generated =
    (method: Method, generate: (passed: TextOptions) => Effect.Effect<Reply, AiError.AiError>) =>
    (o: LanguageModel.ProviderOptions) =>
      Effect.flatMap(asked(method, o), ({ passed, request }) =>
        calls.once(request, (live) =>
          lower(generate(passed)).pipe(
            Effect.tap(({ content }) => Effect.sync(() => live.parts(content))),
            Effect.flatMap(({ content }) => encodeParts(content.map(plainResult))),
            Effect.tap((content) => declared(request, o, content))
          )
        )
      )

  const streamText = (o: LanguageModel.ProviderOptions) =>
    Stream.unwrap(
      Effect.map(asked("streamText", o), ({ passed, request }) =>
        Stream.mapArrayEffect(calls.streamed(request, lowerStream(streamOf(inner, passed))), (parts) =>
          encodeStreamParts(parts.map(plainResult)).pipe(
            Effect.tap((content) => declared(request, o, content)),
            Effect.mapError((error) => aiError(module, "streamText", error))
          )
        )
      )
    )

  const supports = inner.supportsSystemMessagesInHistory
  const upon = (generateText: ReturnType<typeof generated>) =>
    upper(
      LanguageModel.make({
        generateText,
        streamText,
        ...(supports === undefined ? {} : { supportsSystemMessagesInHistory: supports })
      })
    )
  const model = yield* upon(generated("generateText", (passed) => textOf(inner, passed)))

  /** The provider's own reading of the object counts, so the object goes past the model that runs the tools. */
  const generateObject = Effect.fnUntraced(function* ({ objectName, schema, ...text }: ObjectOptions) {
    let value: unknown
    const once = yield* upon(
      generated("generateObject", (passed) =>
        Effect.tap(objectOf(inner, { ...passed, objectName, schema }), (reply) =>
          Effect.sync(() => {
            value = reply.value
          })
        )
      )
    )
    const { content } = yield* textOf(once, text)
    return { value, content }
  })

  // Below another wrapper this is part of its call, which counts it.
  const isPart = () => current() !== undefined
  const outer = {
    ...model,
    generateText: (o: TextOptions) =>
      Effect.suspend(() => (isPart() ? textOf(inner, o) : upper(textOf(model, gated(o))))),
    generateObject: (o: ObjectOptions) =>
      Effect.suspend(() =>
        isPart()
          ? objectOf(inner, o)
          : Effect.map(
              upper(generateObject(gated(o))),
              // The parts are those that the tools of the options have.
              ({ content, value }) => new LanguageModel.GenerateObjectResponse(value, content as never)
            )
      ),
    streamText: (o: TextOptions) =>
      Stream.suspend(() => (isPart() ? streamOf(inner, o) : upperStream(streamOf(model, gated(o)))))
    // The overloads infer a reply's type from the options, which go on as they are.
  } as unknown as LanguageModel.LanguageModel
  governed.add(outer)
  return outer
})

/** Tools whose handlers ask the gate are not asked for by the framework as well. */
const gated = <O extends TextOptions>(options: O): O => {
  const { disableToolCallResolution, toolkit } = options
  // Whoever runs the tools himself governs them himself.
  if (toolkit === undefined || disableToolCallResolution === true) return options
  const resolved = Effect.isEffect(toolkit) ? toolkit : Effect.succeed(toolkit)
  return {
    ...options,
    toolkit: Effect.flatMap(resolved, (handled) =>
      Effect.flatMap(Effect.context<never>(), (services) => knownTools(handled, services, Effect.isEffect(toolkit)))
    )
  }
}

type Method = "generateText" | "generateObject" | "streamText"
const module = "LanguageModel"
const governed = new WeakSet<LanguageModel.LanguageModel>()

/** What the prompt and the tools say, as plain JSON: it is hashed, and its length is held. */
const inputOf = ({ prompt, responseFormat }: LanguageModel.ProviderOptions, tools: ReadonlyArray<Tool.Any>) =>
  encodePrompt(prompt).pipe(
    Effect.flatMap(({ content }) =>
      Effect.try({
        try: (): JsonValue =>
          JSON.parse(
            JSON.stringify({
              prompt: content,
              tools: tools.map(toolText),
              ...(responseFormat.type === "json" ? { format: Tool.getJsonSchemaFromSchema(responseFormat.schema) } : {})
            })
          ),
        catch: (error) => error
      })
    ),
    Effect.mapError(() => new InvalidInput({ field: "prompt", problem: "cannot be written as JSON" }))
  )

const toolText = (tool: Tool.Any) => ({
  name: tool.name,
  description: tool.description,
  ...(Tool.isProviderDefined(tool) ? { args: tool.args } : { parameters: Tool.getJsonSchema(tool) })
})

/** A choice among hidden tools is none. */
const chosen = (
  choice: LanguageModel.ToolChoice<string>,
  tools: ReadonlyArray<string>
): LanguageModel.ToolChoice<string> => {
  if (typeof choice === "string") return choice
  if ("tool" in choice) return tools.includes(choice.tool) ? choice : "auto"
  const oneOf = choice.oneOf.filter((name) => tools.includes(name))
  return oneOf.length === 0 ? "none" : { ...choice, oneOf }
}

/** The request was sent with validation deferred, so a call of a tool that was not shown is found here. */
const declared = (
  { method, tools }: AiRequest,
  { toolCallValidation }: LanguageModel.ProviderOptions,
  content: ReadonlyArray<{ readonly type: string; readonly name?: unknown; readonly providerExecuted?: unknown }>
) => {
  if (toolCallValidation === "deferred") return Effect.void
  const call = content.find(
    (part) => part.type === "tool-call" && part.providerExecuted !== true && !tools.includes(String(part.name))
  )
  if (call === undefined) return Effect.void
  const reason = new AiError.ToolNotFoundError({ toolName: String(call.name), availableTools: [...tools] })
  return Effect.fail(AiError.make({ module, method, reason }))
}

/** A tool that the provider has run itself: its result as the provider wrote it. */
const plainResult = (part: Response.AnyPart): Response.AnyPart =>
  part.type === "tool-result" ? { ...part, result: part.encodedResult } : part

const encodePrompt = Schema.encodeEffect(Prompt.Prompt)
const encodeParts = Schema.encodeUnknownEffect(Schema.mutable(Schema.Array(Response.Part())))
const encodeStreamParts = Schema.encodeUnknownEffect(Schema.NonEmptyArray(Response.StreamPart()))
