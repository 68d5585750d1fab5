import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import * as LiveEnvironment from "../../src/cli/LiveEnvironment.ts"
import { dump, restore, tamper } from "../checkpoints/World.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { governance } from "./InProcess.ts"

const secret = "38b8b53befc08b03be1298b72c8efc894e319d11d3b30e4ea1bd8970e33da504"

class Directory extends Context.Service<Directory, { readonly path: string }>()("test/Directory") {}
const directory = Layer.effect(
  Directory,
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = mkdtempSync(join(tmpdir(), "governance-cli-"))
      writeFileSync(join(path, "key"), "0123456789abcdef".repeat(4), { mode: 0o600 })
      return { path }
    }),
    ({ path }) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
)

const withEnv = (more: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { appUrl } = yield* TestDatabase
    const { path } = yield* Directory
    return yield* governance(args, {
      env: {
        GOVERNANCE_DATABASE_URL: Redacted.value(appUrl),
        GOVERNANCE_AUDIT_SECRET: secret,
        GOVERNANCE_CHECKPOINT_KEY: `file://${join(path, "key")}`,
        GOVERNANCE_CHECKPOINT_FILE: join(path, "checkpoints.jsonl"),
        GOVERNANCE_STATE_DIR: join(path, "state"),
        ...more
      }
    })
  })
const cli = (...args: ReadonlyArray<string>) => withEnv({}, ...args)
const asOwner = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(TestDatabase, ({ ownerUrl }) =>
    withEnv({ GOVERNANCE_DATABASE_URL: Redacted.value(ownerUrl) }, ...args)
  )
const emit = (session: string) => cli("emit", "step", "--agent", "clerk", "--session", session)

/** One story in order, on one database: each test stands on what the one before it left. */
describe("governance checkpoint", () => {
  layer(Layer.mergeAll(LiveEnvironment.layer, freshDatabase, directory), {
    excludeTestServices: true,
    timeout: "120 seconds"
  })("on Postgres", (it) => {
    it.effect("has nothing to sign or show in an empty log, and verify says what that means (L-06)", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* cli("checkpoint")).code, 1)
        assert.strictEqual((yield* cli("checkpoint", "show")).code, 1)
        yield* emit("s1")
        const verified = yield* cli("verify")
        assert.strictEqual(verified.code, 0)
        assert.include(verified.out, "undetectable without one")
        assert.include(verified.out, "anchored to checkpoint: no")
      })
    )

    it.effect("prints a note that its own public key checks, and verify is anchored to it (BEY-04, A-25)", () =>
      Effect.gen(function* () {
        const { path } = yield* Directory
        const made = yield* cli("checkpoint")
        assert.strictEqual(made.code, 0, made.err)
        assert.match(made.out, /^checkpoint 1, signed/)
        assert.match(made.out, /\n\u2014 effect-governance\/[0-9a-f-]{36} /)
        const key = (yield* cli("checkpoint", "key")).out.trim()
        assert.match(key, /^effect-governance\/[0-9a-f-]{36}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}$/)
        const verified = yield* cli("verify", "--json")
        assert.strictEqual(verified.code, 0, verified.err)
        assert.deepInclude(JSON.parse(verified.out).checkpoints, { verdict: "ok", anchoredTo: 1, coveredChains: 1 })
        // A stranger without any key of ours: the file and the public key are enough.
        copyFileSync(join(path, "checkpoints.jsonl"), join(path, "kept.jsonl"))
        const stranger = { GOVERNANCE_CHECKPOINT_KEY: "", GOVERNANCE_STATE_DIR: join(path, "none") }
        const flags = ["verify", "--checkpoints", join(path, "kept.jsonl"), "--checkpoint-key", key]
        assert.strictEqual((yield* withEnv(stranger, ...flags)).code, 0)
        const without = yield* withEnv({ ...stranger, GOVERNANCE_STATE_DIR: join(path, "no") }, "verify")
        assert.strictEqual(without.code, 4)
        assert.include(without.err, "public checkpoint key")
      })
    )

    it.effect("bad input is refused before anything is asked or written: 2 (L-05)", () =>
      Effect.gen(function* () {
        const { path } = yield* Directory
        writeFileSync(join(path, "notes.md"), "# Checkpoints\n\nThey are elsewhere.\n")
        writeFileSync(join(path, "empty"), "")
        for (const args of [
          ["verify", "--checkpoints", "/nowhere"],
          ["verify", "--checkpoints", path],
          ["verify", "--checkpoints", join(path, "notes.md")],
          ["verify", "--checkpoints", join(path, "empty")],
          ["verify", "--checkpoint-key", "rubbish"],
          ["checkpoint", "adopt"]
        ]) {
          assert.strictEqual((yield* cli(...args)).code, 2, args.join(" "))
        }
        writeFileSync(join(path, "big"), "x".repeat(1_000_000), { mode: 0o600 })
        const open = join(path, "open")
        writeFileSync(open, "0123456789abcdef".repeat(4))
        chmodSync(open, 0o644)
        for (const key of [
          `file://${open}`,
          `file://${join(path, "big")}`,
          "file:///nowhere",
          "env://NOT_SET_HERE",
          "x"
        ]) {
          const ran = yield* withEnv({ GOVERNANCE_CHECKPOINT_KEY: key }, "checkpoint")
          assert.strictEqual(ran.code, 2, key)
          assert.include(ran.err, "GOVERNANCE_CHECKPOINT_KEY")
        }
        const fromEnv = yield* withEnv(
          { GOVERNANCE_CHECKPOINT_KEY: "env://MY_KEY", MY_KEY: "0123456789abcdef".repeat(4) },
          "checkpoint",
          "show"
        )
        assert.strictEqual(fromEnv.code, 0)
        const idle = yield* cli("checkpoint", "adopt", "--reason", "no need", "--by", "ada")
        assert.strictEqual(idle.code, 1)
        assert.include(idle.err, "nothing to adopt")
      })
    )

    it.effect(
      "verify is 3 for a restored backup, signing stops, and adopt says aloud what is lost (A-06, DEC-20)",
      () =>
        Effect.gen(function* () {
          yield* dump
          yield* emit("s1")
          yield* emit("s2")
          yield* cli("checkpoint")
          yield* restore
          const verified = yield* cli("verify")
          assert.strictEqual(verified.code, 3)
          assert.match(verified.out, /^ROLLED BACK: 1 row in 1 chain, 0 breaks, \d findings of checkpoints$/m)
          assert.notMatch(verified.out, /^ok/m)
          assert.include(verified.out, "ROLLED BACK: the database is older than")
          assert.include(verified.out, "DELETED: session:s2 was deleted")
          assert.include(
            verified.out,
            "CUT: session:s1 is shorter than checkpoint 3: that saw row 2, the chain ends at row 1"
          )
          assert.strictEqual((yield* cli("checkpoint")).code, 3)
          const empty = yield* cli("checkpoint", "adopt", "--reason", "a\u0007b", "--by", "ada")
          assert.strictEqual(empty.code, 2)
          const program = yield* cli("checkpoint", "adopt", "--reason", "disk died", "--by", "ada")
          assert.strictEqual(program.code, 2)
          assert.include(program.err, "connect as the role that ran")
          const adopted = yield* asOwner("checkpoint", "adopt", "--reason", "disk died\u202e", "--by", "ada")
          assert.strictEqual(adopted.code, 0, adopted.err)
          assert.include(adopted.out, "lost: session:s1 after row 1, session:s2 after row 0")
          assert.notInclude(adopted.out, "\u202e")
          const after = yield* cli("verify")
          assert.strictEqual(after.code, 0, after.out + after.err)
          assert.include(after.out, "adopted at checkpoint 3")
        })
    )

    it.effect("verify is 4 once the file of checkpoints is gone, and 0 before there ever was one (BEY-04)", () =>
      Effect.gen(function* () {
        const { path } = yield* Directory
        const fresh = { GOVERNANCE_CHECKPOINT_FILE: join(path, "second.jsonl") }
        const before = yield* withEnv(fresh, "verify")
        assert.strictEqual(before.code, 0, before.err)
        assert.include(before.out, "second.jsonl has no checkpoint yet")
        assert.strictEqual((yield* withEnv(fresh, "checkpoint")).code, 0)
        rmSync(join(path, "second.jsonl"))
        const gone = yield* withEnv(fresh, "verify")
        assert.strictEqual(gone.code, 4)
        assert.match(gone.out, /^NOT VERIFIED: \d/m)
        assert.include(gone.err, "does not exist any more")
      })
    )

    it.effect("verify is 1 for rows that a checkpoint saw and that are gone, and names them (A-04)", () =>
      Effect.gen(function* () {
        yield* emit("s3")
        yield* cli("checkpoint")
        yield* tamper(
          "DELETE FROM governance_audit_events WHERE chain = 'session:s3'",
          "DELETE FROM governance_audit_chain_heads WHERE chain = 'session:s3'"
        )
        const verified = yield* cli("verify")
        assert.strictEqual(verified.code, 1)
        assert.match(verified.out, /^TAMPERED: .*, 0 breaks, 1 finding of checkpoints\n/m)
        assert.include(verified.out, "DELETED: session:s3 was deleted")
        // Of one chain only what concerns it is said.
        assert.notInclude((yield* cli("verify", "--session", "s1")).out, "session:s3")
      })
    )

    it.effect("verify is 3 with another key or another deployment than was known here (A-05)", () =>
      Effect.gen(function* () {
        const { path } = yield* Directory
        writeFileSync(join(path, "other"), "fedcba9876543210".repeat(4), { mode: 0o600 })
        const other = yield* withEnv({ GOVERNANCE_CHECKPOINT_KEY: `file://${join(path, "other")}` }, "verify")
        assert.strictEqual(other.code, 3)
        assert.include(other.out, "OTHER IDENTITY")
        yield* tamper("UPDATE governance_meta SET value = gen_random_uuid()::text WHERE key = 'deployment_id'")
        const moved = yield* cli("verify")
        assert.strictEqual(moved.code, 3)
        assert.include(moved.err, "not the log that was known here")
        assert.notInclude(readFileSync(join(path, "checkpoints.jsonl"), "utf8"), "0123456789abcdef0123456789abcdef")
      })
    )
  })
})
