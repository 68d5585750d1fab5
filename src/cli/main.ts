#!/usr/bin/env node
import { createRequire } from "node:module"
// One by one: the package as a whole loads servers and clients that no command needs.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Schema, Stdio } from "effect"
import { run } from "./Cli.ts"
import { exitCodeOfExit, exitCodes } from "./ExitCode.ts"
import * as LiveEnvironment from "./LiveEnvironment.ts"

// A reader that goes away (`| head`) ends us quietly; nobody would read what we say about it.
process.stdout.on("error", (error) => {
  if ("code" in error && error.code === "EPIPE") process.exit(exitCodes.interrupted)
})

const { version } = Schema.decodeUnknownSync(Schema.Struct({ version: Schema.String }))(
  createRequire(import.meta.url)("../../package.json")
)

Stdio.Stdio.use(({ args }) => Effect.flatMap(args, (words) => run(words, version))).pipe(
  Effect.provide(LiveEnvironment.layer),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown: (exit, onExit) => onExit(exitCodeOfExit(exit)) })
)
