import { Effect, ManagedRuntime } from "effect"
import type { TestProject } from "vitest/node"
import * as TestServer from "./TestServer.ts"

declare module "vitest" {
  export interface ProvidedContext {
    testServer: TestServer.TestServerFacts
  }
}

/** Starts the run's one server before the first test file and stops it after the last; its facts reach the workers by `inject`. */
export default async function setup(project: TestProject) {
  const runtime = ManagedRuntime.make(TestServer.layer)
  project.provide("testServer", await runtime.runPromise(Effect.map(TestServer.TestServer, (facts) => ({ ...facts }))))
  return () => runtime.dispose()
}
