import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as FileCheckpointSink from "../../src/layers/FileCheckpointSink.ts"
import * as RememberedCheckpointFile from "../../src/layers/RememberedCheckpointFile.ts"
import { leafHashOf, originOf, signCheckpoint } from "../../src/schema/Checkpoint.ts"
import { type LogEntry, parseEntry } from "../../src/schema/CheckpointEntry.ts"
import { emptyLog, finish, step } from "../../src/schema/CheckpointWalk.ts"
import { rootOf } from "../../src/schema/Merkle.ts"
import { sha256, verifyEd25519 } from "../../src/services/CheckpointKey.ts"
import { newKey } from "./World.ts"

const key = { name: originOf("a"), ...newKey() }
const leaves = Array.from({ length: 6 }, (_, at) => ({
  chain: `session:${at % 2}`,
  seq: at + 1,
  hash: sha256(Buffer.from(`${at}`))
}))

/** A log of six checkpoints of one leaf each, as it is handed to sinks. */
const log: ReadonlyArray<LogEntry> = leaves.map((leaf, at) => {
  const root = rootOf(
    leaves.slice(0, at + 1).map((one) => leafHashOf(one, sha256)),
    sha256
  )
  const note = Result.getOrThrow(signCheckpoint({ origin: key.name, size: at + 1, root }, key, sha256))
  return { _tag: "Checkpoint", previous: at, notes: [note], leaves: [leaf] }
})

const inDirectory = <A, E>(test: (path: string) => Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.scoped(
    Effect.flatMap(
      Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "governance-checkpoints-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      ),
      test
    )
  ).pipe(Effect.provide(NodeServices.layer))

const written = (directory: string) =>
  Effect.gen(function* () {
    const path = join(directory, "checkpoints.jsonl")
    const sink = yield* FileCheckpointSink.make(path)
    yield* sink.append(log)
    return { path, sink, text: readFileSync(path) }
  })

/** Reads a file's bytes as the verifier does. */
const judged = (bytes: Uint8Array) => {
  const text = Buffer.from(bytes).toString("utf8")
  const complete = text.slice(0, text.lastIndexOf("\n") + 1)
  const entries = complete
    .split("\n")
    .filter((line) => line !== "")
    .map(parseEntry)
  const roots = new Map<number, string>()
  const reader = { key, sha: sha256, verify: verifyEd25519 }
  return finish(entries.reduce((state, entry) => step(state, entry, reader, roots), emptyLog))
}

describe("A file of checkpoints", () => {
  it.effect("is for its owner alone, and reads back whole", () =>
    inDirectory((directory) =>
      Effect.gen(function* () {
        const { path, text } = yield* written(directory)
        assert.strictEqual(statSync(path).mode & 0o777, 0o600)
        assert.deepInclude(judged(text), { signedSize: 6, problem: null, unread: false })
      })
    )
  )

  it.effect("with any one bit changed is never taken for whole (A-31)", () =>
    inDirectory((directory) =>
      Effect.gen(function* () {
        const { text } = yield* written(directory)
        // The last line break alone is a torn end: the last checkpoint does not count, the others do.
        for (let at = 0; at < text.length - 1; at += 3) {
          const bytes = Uint8Array.from(text)
          bytes[at]! ^= 1 << (at % 8)
          const { otherKey, problem, signedSize } = judged(bytes)
          assert.isTrue(problem !== null || otherKey || signedSize < 6, `byte ${at}`)
        }
      })
    )
  )

  it.effect("cut anywhere holds what stands before the cut, and is filled up again by the next writer (A-31)", () =>
    inDirectory((directory) =>
      Effect.gen(function* () {
        const { path, sink, text } = yield* written(directory)
        for (const cut of [0, 1, 200, text.indexOf(0x0a), text.indexOf(0x0a) + 1, text.length - 2]) {
          writeFileSync(path, text.subarray(0, cut))
          const head = yield* sink.head
          const size = head?.size ?? 0
          assert.isBelow(size, 6)
          yield* sink.append(log.slice(size))
          assert.deepInclude(judged(readFileSync(path)), { signedSize: 6, problem: null })
          assert.strictEqual((yield* sink.head)?.size, 6)
        }
      })
    )
  )

  it.effect("says where it is damaged: a line taken out, put elsewhere, signed by nobody or made up", () =>
    inDirectory((directory) =>
      Effect.gen(function* () {
        const { text } = yield* written(directory)
        const lines = text.toString().trimEnd().split("\n")
        const problem = (changed: ReadonlyArray<string>) => judged(Buffer.from(`${changed.join("\n")}\n`)).problem
        assert.isNull(problem(lines))
        assert.deepStrictEqual(problem(lines.toSpliced(2, 1)), { kind: "gap", size: 4 })
        assert.deepStrictEqual(problem([lines[1]!, lines[0]!]), { kind: "gap", size: 2 })
        assert.deepStrictEqual(problem(lines.with(3, "{}")), { kind: "unreadable", size: 5 })
        assert.deepStrictEqual(problem([...lines, "rubbish"]), { kind: "unreadable", size: 6 })
        const last = lines[5] ?? ""
        const inside = last.lastIndexOf("\\n") - 20
        const signature = `${last.slice(0, inside)}${last[inside] === "A" ? "B" : "A"}${last.slice(inside + 1)}`
        assert.deepStrictEqual(problem(lines.with(5, signature)), { kind: "badSignature", size: 6 })
        assert.deepStrictEqual(problem(lines.with(4, lines[4]!.replace('"session:0"', '"session:1"'))), {
          kind: "root",
          size: 5
        })
      })
    )
  )

  it.effect("that others may write, that is a directory or cannot be made is refused with a typed error", () =>
    inDirectory((directory) =>
      Effect.gen(function* () {
        const { path, sink } = yield* written(directory)
        chmodSync(path, 0o622)
        const foreign = yield* Effect.flip(sink.append(log))
        assert.deepInclude(foreign, { _tag: "CheckpointSinkError", problem: "foreign" })
        const nowhere = yield* FileCheckpointSink.make(join(directory, "no", "where"))
        assert.strictEqual((yield* Effect.flip(nowhere.append(log))).problem, "unwritable")
        const self = yield* FileCheckpointSink.make(directory)
        assert.strictEqual((yield* Effect.flip(self.append(log)))._tag, "CheckpointSinkError")
      })
    )
  )

  it.effect("replaced by another while it is open is read anew", () =>
    inDirectory((directory) =>
      Effect.gen(function* () {
        const { path, sink, text } = yield* written(directory)
        assert.strictEqual((yield* sink.head)?.size, 6)
        rmSync(path)
        assert.isNull(yield* sink.head)
        writeFileSync(path, text.subarray(0, text.indexOf(0x0a) + 1), { mode: 0o600 })
        assert.strictEqual((yield* sink.head)?.size, 1)
        appendFileSync(path, "rubbish\n")
        assert.isTrue((yield* sink.head)?.damaged)
      })
    )
  )
})

describe("The remembered checkpoint", () => {
  const seen = { origin: key.name, size: 3, root: "0".repeat(64), key: null, sinks: ["file"] }

  it.effect("is kept for one place in a file of the user's alone, replaced as a whole", () =>
    inDirectory((directory) =>
      Effect.gen(function* () {
        const state = join(directory, "state")
        const here = yield* RememberedCheckpointFile.make(state, "host/db#public")
        const there = yield* RememberedCheckpointFile.make(state, "host/other#public")
        assert.isNull(yield* here.recall)
        yield* here.keep(seen)
        yield* here.keep({ ...seen, size: 4 })
        assert.deepStrictEqual(yield* here.recall, { ...seen, size: 4 })
        assert.isNull(yield* there.recall)
        assert.strictEqual(statSync(state).mode & 0o777, 0o700)
      })
    )
  )

  it.effect("that cannot be read or kept stops nothing", () =>
    inDirectory((directory) =>
      Effect.gen(function* () {
        const blocked = join(directory, "file")
        writeFileSync(blocked, "")
        const nowhere = yield* RememberedCheckpointFile.make(join(blocked, "state"), "x")
        yield* nowhere.keep(seen)
        assert.isNull(yield* nowhere.recall)
        const here = yield* RememberedCheckpointFile.make(directory, "x")
        yield* here.keep(seen)
        const file = readdirSync(directory).find((name) => name.endsWith(".json"))
        for (const text of ["", "{", "{}", '{"origin":1}', "\u0000"]) {
          writeFileSync(join(directory, file!), text)
          assert.isNull(yield* here.recall)
        }
        symlinkSync("/nowhere", join(directory, "dangling"))
        assert.isNull(yield* (yield* RememberedCheckpointFile.make(join(directory, "dangling"), "x")).recall)
      })
    )
  )
})
