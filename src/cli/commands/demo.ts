import { Effect, Option, References } from "effect"
import { Command, Flag } from "effect/cli"
import { Cost } from "../../services/Cost.ts"
import { counted, UsageError } from "../CliFailure.ts"
import { closing } from "../demo/Closing.ts"
import { layerDatabase, layerGovernance } from "../demo/DemoWorld.ts"
import { haltScene } from "../demo/HaltScene.ts"
import { dollars } from "../demo/PlainWords.ts"
import { play } from "../demo/Play.ts"
import * as Rules from "../demo/Rules.ts"
import { make as makeScreen, Screen } from "../demo/Screen.ts"
import { scenes, supportAgent } from "../demo/Sessions.ts"
import { tamperScene, verifyScene } from "../demo/TamperScene.ts"
import { governance } from "../Root.ts"

/** An agent at work under a policy, on a real database that is thrown away: what is allowed, stopped, halted and proved. */
export const demo = Command.make("demo", {
  fast: Flag.Boolean("fast").pipe(
    Flag.withDescription("Without the pauses for reading; there are none anyway where the output is no terminal"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  )
}).pipe(
  Command.withDescription("See it work, in about 20 seconds: needs nothing, keeps nothing."),
  Command.withExamples([
    { command: "governance demo", description: "Watch it" },
    { command: "governance demo --fast", description: "Everything at once" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* ({ fast }) {
      const flags = yield* governance
      if (flags.json || Option.isSome(flags.databaseUrl) || Option.isSome(flags.dataDir)) {
        return yield* new UsageError({
          subject: "demo",
          problem: "is for reading, and brings a database of its own",
          todo: "Leave out --json, --database-url and --data-dir."
        })
      }
      const screen = yield* makeScreen({ fast })
      const level = yield* References.MinimumLogLevel
      yield* performance.pipe(
        Effect.provideService(Screen, screen),
        // The screen tells what the library would warn of.
        Effect.provideService(References.MinimumLogLevel, level === "Warn" ? "Error" : level)
      )
    })
  )
)

const performance = Effect.gen(function* () {
  const screen = yield* Screen
  yield* screen.heading("An AI agent at work, and what keeps it in bounds")
  yield* screen.aside("Starting a PostgreSQL for this demo alone; it is gone when the demo ends ...")
  yield* Effect.provide(Effect.provide(acts, layerGovernance, { local: true }), layerDatabase, { local: true })
})

const acts = Effect.gen(function* () {
  const screen = yield* Screen
  yield* Rules.register
  yield* screen.line("")
  yield* screen.line(`${supportAgent} answers the customers of a web shop. Its rules:`)
  for (const [name, rule] of Rules.inWords) yield* screen.line(`  ${name.padEnd(10)} ${rule}`)
  yield* screen.pause(10)

  let ran = 0
  let stopped = 0
  for (const [at, scene] of scenes.entries()) {
    yield* screen.heading(`${at + 1}  ${scene.title}`)
    const played = yield* play(scene)
    ran += played.ran
    stopped += played.stopped
  }
  yield* total(ran, stopped)
  yield* screen.heading(`${scenes.length + 1}  An operator stops the agent in the middle of a call`)
  yield* haltScene
  yield* screen.heading(`${scenes.length + 2}  All of this is on record. Is the record true?`)
  yield* verifyScene
  yield* screen.heading(`${scenes.length + 3}  Someone edits one row in the database`)
  yield* tamperScene
  yield* closing
})

const total = Effect.fnUntraced(function* (ran: number, stopped: number) {
  const screen = yield* Screen
  const cost = yield* Cost
  const { state } = yield* cost.snapshot(supportAgent, null)
  const model = (yield* cost.modelBreakdown(supportAgent)).get("gpt-4o")
  const asked = model === undefined ? "" : `, ${dollars(model.usd)} of it for ${model.tokens} model tokens`
  yield* screen.heading("So far")
  yield* screen.line(`  ${counted(ran, "call")} ran, ${stopped} did not. Cost: ${dollars(state.dailyUsd)}${asked}.`)
})
