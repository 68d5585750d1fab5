import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import * as FileCheckpointSink from "../../src/layers/FileCheckpointSink.ts"
import * as MemoryAudit from "../../src/layers/memory/AuditStore.ts"
import * as MemoryCheckpoints from "../../src/layers/memory/CheckpointStore.ts"
import * as AuditStore from "../../src/layers/postgres/AuditStore.ts"
import * as CheckpointStore from "../../src/layers/postgres/CheckpointStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { type CheckpointSink, makeMemory } from "../../src/services/CheckpointSink.ts"
import * as CheckpointSinkSuite from "../../src/testing/CheckpointSinkSuite.ts"
import * as CheckpointStoreSuite from "../../src/testing/CheckpointStoreSuite.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"

CheckpointStoreSuite.suite(
  "memory",
  MemoryCheckpoints.layer.pipe(Layer.provideMerge(MemoryAudit.layer), Layer.provide(ChainKeys.layerTest))
)

CheckpointStoreSuite.suite(
  "Postgres",
  Layer.mergeAll(AuditStore.layer, CheckpointStore.layer).pipe(
    Layer.provide(ChainKeys.layerTest),
    Layer.provide(Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl)))),
    Layer.provide(freshDatabase)
  ),
  { clock: "database" }
)

CheckpointSinkSuite.suite(
  "memory",
  Layer.sync(CheckpointSinkSuite.SinkUnderTest, () => {
    const sinks = new Map<string, CheckpointSink>()
    return CheckpointSinkSuite.SinkUnderTest.of({
      open: (name) =>
        Effect.sync(() => {
          const sink = sinks.get(name) ?? makeMemory(name)
          sinks.set(name, sink)
          return sink
        })
    })
  })
)

CheckpointSinkSuite.suite(
  "file",
  Layer.effect(
    CheckpointSinkSuite.SinkUnderTest,
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "governance-sink-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      ),
      (directory) =>
        CheckpointSinkSuite.SinkUnderTest.of({
          open: (name) => Effect.provide(FileCheckpointSink.make(join(directory, `${name}.jsonl`)), NodeServices.layer)
        })
    )
  )
)
