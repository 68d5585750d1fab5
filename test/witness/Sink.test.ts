import { Effect, Layer } from "effect"
import * as CheckpointSinkSuite from "../../src/testing/CheckpointSinkSuite.ts"
import { platform, tenant } from "../platform/Serving.ts"
import { openSink, portOf } from "./World.ts"

CheckpointSinkSuite.suite(
  "witness",
  Layer.effect(
    CheckpointSinkSuite.SinkUnderTest,
    Effect.gen(function* () {
      const port = yield* portOf
      const { token } = yield* tenant()
      return CheckpointSinkSuite.SinkUnderTest.of({
        open: (name) => Effect.orDie(openSink(port, token, Effect.succeed(name), CheckpointSinkSuite.suiteKey))
      })
    })
  ).pipe(Layer.provide(platform))
)
