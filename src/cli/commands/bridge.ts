import { Command } from "effect/cli"
import { smokeTest } from "./bridge/smoke-test.ts"
import { status } from "./bridge/status.ts"

/** The bridge to a platform, seen from a terminal. */
export const bridge = Command.make("bridge").pipe(
  Command.withDescription("The bridge to a platform: how it is set up, how far it is, and whether an event arrives."),
  Command.withExamples([
    {
      command: "governance bridge smoke-test",
      description: "Send one event; it is in the timeline within two seconds"
    },
    { command: "governance bridge status", description: "The settings, and how far the outbox is behind the log" }
  ]),
  Command.withSubcommands([status, smokeTest])
)
