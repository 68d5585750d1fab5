import type { Schema } from "effect"
import { Context, Effect, Stream } from "effect"
import type { AiError, LanguageModel, Response } from "effect/ai"
import { ResponseIdTracker, Telemetry, type Tool, type Toolkit } from "effect/ai"

// A language model of `effect/ai` without the overloads that infer a reply's type from its options: those of a model that hands
// options on cannot be written. What goes in was checked by the types of whoever called.

export interface TextOptions extends LanguageModel.GenerateTextOptions<Record<string, Tool.Any>> {}

export interface ObjectOptions extends TextOptions {
  readonly schema: Schema.Encoder<Record<string, unknown>, unknown>
  readonly objectName?: string | undefined
}

export interface Reply {
  readonly content: Array<Response.AnyPart>
}

export interface ObjectReply extends Reply {
  readonly value: unknown
}

type Model = LanguageModel.LanguageModel

export const textOf = (model: Model, options: TextOptions): Effect.Effect<Reply, AiError.AiError> =>
  // The one overload for all options.
  (model.generateText as (options: TextOptions) => Effect.Effect<Reply, AiError.AiError>)(options)

export const objectOf = (model: Model, options: ObjectOptions): Effect.Effect<ObjectReply, AiError.AiError> =>
  // As above.
  (model.generateObject as unknown as (options: ObjectOptions) => Effect.Effect<ObjectReply, AiError.AiError>)(options)

export const streamOf = (model: Model, options: TextOptions): Stream.Stream<Response.AnyPart, AiError.AiError> =>
  // As above.
  (model.streamText as (options: TextOptions) => Stream.Stream<Response.AnyPart, AiError.AiError>)(options)

/** A toolkit whose tools are shown to a model and run by somebody else. */
export const shown = (tools: ReadonlyArray<Tool.Any>): Toolkit.WithHandler<Record<string, Tool.Any>> => ({
  tools: Object.fromEntries(tools.map((tool) => [tool.name, tool])),
  handle: (name) => Effect.die(new Error(`tool ${String(name)} is not run below a governed request`))
})

/**
 * One model above another would mark and trace each request twice: what a program provides for that is for the lower one alone,
 * which is the provider's own.
 */
const Withheld = Context.Reference<Context.Context<never>>("effect-governance/integrations/AnyModel/Withheld", {
  defaultValue: () => Context.empty()
})

const withhold = <R>(context: Context.Context<R>): Context.Context<R> =>
  // Optional services: nobody's requirements name them.
  Context.add(
    Context.omit(ResponseIdTracker.ResponseIdTracker, Telemetry.CurrentSpanTransformer)(context),
    Withheld,
    Context.pick(ResponseIdTracker.ResponseIdTracker, Telemetry.CurrentSpanTransformer)(context as never)
  ) as Context.Context<R>

const restore = <R>(context: Context.Context<R>): Context.Context<R> =>
  Context.merge(context, Context.get(context, Withheld))

export const upper = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(self, withhold<R>)
export const upperStream = <A, E, R>(self: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.updateContext(self, withhold<R>)
export const lower = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(self, restore<R>)
export const lowerStream = <A, E, R>(self: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.updateContext(self, restore<R>)
