import { Console, Effect, Layer } from "effect"
import { CliOutput } from "effect/cli"
import { notice } from "./Output.ts"

/**
 * Help that was asked for goes to standard output. A command line that cannot be run gets short lines on standard error
 * instead of a screen of help: the fault must not scroll away, and a pipe must not read it.
 */
const presenter = CliOutput.layerPresenter({
  present: (event) => {
    if (event._tag === "InvalidInvocation") {
      const path = event.commandPath.join(" ")
      return Effect.gen(function* () {
        for (const error of event.errors) yield* notice(`governance: ${error.message.replaceAll(/\s*\n\s*/g, " ")}`)
        yield* notice(`usage: ${event.helpDoc.usage}`)
        yield* notice(`Run \`${path} --help\` for flags and examples.`)
      })
    }
    if (event._tag === "Help" && event.reason === "Implicit") {
      return Effect.flatMap(Effect.service(CliOutput.Formatter), (formatter) =>
        Console.error(formatter.formatHelpDoc(event.helpDoc))
      )
    }
    return CliOutput.defaultPresenter.present(event)
  }
})

/** Flags that every program has are listed once, with the root command. */
export const layer = Layer.merge(
  presenter,
  Layer.sync(CliOutput.Formatter, () => CliOutput.defaultFormatter({ globalFlags: "none" }))
)
