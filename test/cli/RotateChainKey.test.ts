import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as LiveEnvironment from "../../src/cli/LiveEnvironment.ts"
import * as Embedded from "../../src/layers/Embedded.ts"
import { keepSecret, keptSecret, makeSecret, promoteSecret } from "../../src/layers/embedded/KeptSecret.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { newSecret } from "../rotation/Processes.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { governance } from "./InProcess.ts"

const real = { excludeTestServices: true } as const
const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "governance-rotate-test-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const keyIdOf = (secret: Redacted.Redacted<string>) =>
  Effect.map(ChainKeys.make({ secret, ephemeralAllowed: false }), ({ current }) => current.keyId)

const cli = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
  role: "ownerUrl" | "appUrl" = "ownerUrl"
) {
  const database = yield* TestDatabase
  return yield* governance(args, { env: { GOVERNANCE_DATABASE_URL: Redacted.value(database[role]), ...env } })
})

describe("governance rotate-chain-key", () => {
  layer(LiveEnvironment.layer, real)("on a database of one's own", (it) => {
    const inFresh = Effect.provide(freshDatabase, { local: true })
    const emit = ["emit", "step", "--agent", "clerk"]

    it.effect(
      "makes a secret, writes it where it is told before it counts, shows it nowhere, says what is next (ROT-06, K-12)",
      () =>
        Effect.gen(function* () {
          const [path, old] = [join(yield* scratch, "new"), newSecret()]
          assert.strictEqual((yield* cli(emit, { GOVERNANCE_AUDIT_SECRET: old })).code, 0)
          const ran = yield* cli(["rotate-chain-key", "--by", "alice", "--write-secret-to", path], {
            GOVERNANCE_AUDIT_SECRET: old
          })
          assert.strictEqual(ran.code, 0, ran.err)
          assert.strictEqual(statSync(path).mode & 0o777, 0o600)
          const made = readFileSync(path, "utf8").trim()
          for (const secret of [old, made]) assert.notInclude(ran.out + ran.err, secret)
          const before = (yield* keyIdOf(Redacted.make(old))).slice(0, 16).toUpperCase()
          assert.include(ran.out, `GOVERNANCE_CHAIN_KEY_${before}`)
          // The old environment finds its way, and the one that it was told to make does.
          const told = { GOVERNANCE_AUDIT_SECRET: made, [`GOVERNANCE_CHAIN_KEY_${before}`]: old }
          for (const env of [{ GOVERNANCE_AUDIT_SECRET: old }, told]) {
            assert.strictEqual((yield* cli(emit, env)).code, 0)
            assert.strictEqual((yield* cli(["verify"], env)).code, 0)
          }
          assert.strictEqual((yield* cli(["verify"], { GOVERNANCE_AUDIT_SECRET: made })).code, 4)
          const doctor = yield* cli(["doctor"], { GOVERNANCE_AUDIT_SECRET: old })
          assert.include(doctor.out, "GOVERNANCE_AUDIT_SECRET is version 1")
        }).pipe(Effect.scoped, inFresh)
    )

    it.effect(
      "an unused log is nobody's after a reader with any secret; the first writer makes it its own (A-05)",
      () =>
        Effect.gen(function* () {
          for (const command of [["verify"], ["doctor"]]) {
            yield* cli(command, { GOVERNANCE_AUDIT_SECRET: newSecret() })
          }
          const env = { GOVERNANCE_AUDIT_SECRET: newSecret() }
          assert.strictEqual((yield* cli(emit, env)).code, 0)
          assert.strictEqual((yield* cli(["verify"], env)).code, 0)
          assert.strictEqual((yield* cli(emit, { GOVERNANCE_AUDIT_SECRET: newSecret() })).code, 3)
        }).pipe(inFresh)
    )

    it.effect("ends with a checkpoint that verify is anchored to, where there is a key for it (DEC-21, K-08)", () =>
      Effect.gen(function* () {
        const env = {
          GOVERNANCE_AUDIT_SECRET: newSecret(),
          NEXT: newSecret(),
          GOVERNANCE_CHECKPOINT_KEY: "env://KEY",
          KEY: "0123456789abcdef".repeat(4)
        }
        assert.strictEqual((yield* cli(emit, env)).code, 0)
        assert.strictEqual((yield* cli(["checkpoint", "show"], env)).code, 1)
        const ran = yield* cli(["rotate-chain-key", "--by", "alice", "--new-secret", "env:NEXT"], env)
        assert.deepStrictEqual([ran.code, ran.err], [0, ""])
        const { checkpoints } = JSON.parse((yield* cli(["verify", "--json"], env)).out)
        assert.deepInclude(checkpoints, { verdict: "ok", anchoredTo: 2, coveredRows: 2 })
      }).pipe(inFresh)
    )

    it.effect("takes a given secret and refuses what is none: nothing is changed (K-01, L-05, L-09)", () =>
      Effect.gen(function* () {
        const [old, next] = [newSecret(), newSecret()]
        const path = join(yield* scratch, "taken")
        writeFileSync(path, "here before")
        const env = { GOVERNANCE_AUDIT_SECRET: old, NEXT: next, WEAK: "changeme".repeat(8), SAME: old, EMPTY: " " }
        assert.strictEqual((yield* cli(emit, env)).code, 0)
        const rotate = (...args: ReadonlyArray<string>) => cli(["rotate-chain-key", "--by", "alice", ...args], env)
        const refusals: ReadonlyArray<readonly [code: number, said: string, ...args: ReadonlyArray<string>]> = [
          [2, "both missing"],
          [2, "exclude each other", "--new-secret", "env:NEXT", "--write-secret-to", path],
          [2, "--new-secret", "--new-secret", next],
          [2, "not set", "--new-secret", "env:EMPTY"],
          [2, "not set", "--new-secret", "env:NO_SUCH"],
          [2, "cannot be read", "--new-secret", `file:${path}.gone`],
          [2, "well-known", "--new-secret", "env:WEAK"],
          [2, "bytes once decoded", "--new-secret", `file:${path}`],
          [2, "is there already", "--write-secret-to", path],
          [1, "a key of this log already", "--new-secret", "env:SAME"]
        ]
        for (const [code, said, ...args] of refusals) {
          const ran = yield* rotate(...args)
          assert.deepStrictEqual([ran.code, ran.out], [code, ""], `${args.join(" ")}: ${ran.err}`)
          assert.include(ran.err, said)
          for (const secret of [old, next]) assert.notInclude(ran.err, secret)
        }
        assert.strictEqual(readFileSync(path, "utf8"), "here before")
        const asProgram = yield* cli(["rotate-chain-key", "--by", "alice", "--new-secret", "env:NEXT"], env, "appUrl")
        assert.strictEqual(asProgram.code, 2)
        assert.include(asProgram.err, "may not rotate keys")

        const ran = yield* rotate("--new-secret", "env:NEXT", "--no-hand-over", "--json")
        assert.deepInclude(JSON.parse(ran.out), {
          version: 2,
          handedOver: false,
          marker: { chain: "operator", seq: 1 }
        })
        assert.strictEqual((yield* cli(["verify"], env)).code, 4)
        const behind = yield* cli(["doctor"], env)
        assert.strictEqual(behind.code, 1)
        assert.include(behind.out, "it was replaced by")
        const foreign = yield* cli(emit, { GOVERNANCE_AUDIT_SECRET: newSecret() })
        assert.strictEqual(foreign.code, 3)
        assert.include(foreign.err, "another log, or another secret")
      }).pipe(Effect.scoped, inFresh)
    )
  })
})

describe("a rotation of the embedded database", () => {
  it.live("cut off after any step leaves a log that verifies, and is named and finished (K-05, CFG-32)", () =>
    Effect.gen(function* () {
      const dataDir = join(yield* scratch, "data")
      yield* Layer.build(Embedded.layer({ dataDir, durable: false }))
      const run = (...args: ReadonlyArray<string>) => governance([...args, "--data-dir", dataDir], { env: {} })
      const good = Effect.fnUntraced(function* (when: string) {
        assert.strictEqual((yield* run("emit", "step", "--agent", "clerk")).code, 0, when)
        const verified = yield* run("verify")
        assert.strictEqual(verified.code, 0, `${when}: ${verified.out}`)
      })
      const rotate = run("rotate-chain-key", "--by", "alice")
      const doctor = Effect.map(run("doctor"), ({ code, out }) => {
        assert.strictEqual(code, 0, out)
        return out
      })
      yield* good("before")
      const first = yield* keptSecret(dataDir)
      const firstId = yield* keyIdOf(first.secret)

      // The new secret was written, and nothing more.
      const unused = yield* makeSecret
      yield* keepSecret(dataDir, yield* keyIdOf(unused), unused)
      yield* good("secret written")
      assert.include(yield* doctor, "never became current")
      assert.strictEqual(Redacted.value((yield* keptSecret(dataDir)).secret), Redacted.value(first.secret))

      // A rotation that was committed, and its files not put right: as they were before.
      assert.strictEqual((yield* rotate).code, 0)
      const second = yield* keptSecret(dataDir)
      assert.notStrictEqual(Redacted.value(second.secret), Redacted.value(first.secret))
      yield* promoteSecret(dataDir, { keyId: yield* keyIdOf(second.secret), secret: second.secret }, first.secret)
      yield* good("committed")
      assert.include(yield* doctor, "was committed and cut off")
      const finished = yield* rotate
      assert.include(finished.out, "No other was made")
      assert.strictEqual(Redacted.value((yield* keptSecret(dataDir)).secret), Redacted.value(second.secret))
      assert.include(yield* doctor, `${(yield* keyIdOf(second.secret)).slice(0, 16)}, version 2, seals the log`)

      // The same without the new secret's own file: the hand-over in the registry leads there.
      yield* promoteSecret(dataDir, { keyId: yield* keyIdOf(second.secret), secret: second.secret }, first.secret)
      rmSync(join(dataDir, `audit-secret.${yield* keyIdOf(second.secret)}`))
      yield* good("by the hand-over")

      for (const name of readdirSync(dataDir).filter((name) => name.startsWith("audit-secret"))) {
        assert.strictEqual(statSync(join(dataDir, name)).mode & 0o777, 0o600, name)
      }
      assert.isTrue(existsSync(join(dataDir, `audit-secret.${firstId}`)))
      const given = yield* run("rotate-chain-key", "--by", "alice", "--write-secret-to", join(dataDir, "x"))
      assert.strictEqual(given.code, 2)
      assert.include(given.err, "keeps it beside its data")
    }).pipe(Effect.scoped, Effect.provide(LiveEnvironment.layer, { local: true }))
  )
})
