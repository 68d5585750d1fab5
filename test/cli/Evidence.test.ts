import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { zipSync } from "fflate"
import { UsageError } from "../../src/cli/CliFailure.ts"
import { Environment } from "../../src/cli/Environment.ts"
import * as StoreTransaction from "../../src/layers/memory/StoreTransaction.ts"
import * as SubjectKeyStore from "../../src/layers/memory/SubjectKeyStore.ts"
import { formatVerifierKey } from "../../src/schema/SignedNote.ts"
import * as Audit from "../../src/services/Audit.ts"
import * as AuditFallback from "../../src/services/AuditFallback.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import * as CheckpointProofs from "../../src/services/CheckpointProofs.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import { tampered } from "../audit/Rig.ts"
import { makeBundle } from "../compliance/BundleRig.ts"
import * as Logs from "../compliance/Logs.ts"
import * as Trees from "../compliance/Trees.ts"
import { newSecret } from "../rotation/Processes.ts"
import { governance, memory } from "./InProcess.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "evidence-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** A command line whose reader has these keys and this log. */
const readingWith = <E>(
  keys: Layer.Layer<ChainKeys.ChainKeys, E>,
  store: Layer.Layer<AuditStore>,
  args: ReadonlyArray<string>
) =>
  Effect.gen(function* () {
    const environment = yield* Environment
    const reports = Compliance.layer.pipe(
      Layer.provide(CheckpointProofs.layerNone),
      Layer.provideMerge(Audit.layerWith()),
      Layer.provideMerge(
        Layer.mergeAll(store, SubjectKeyStore.layer, StoreTransaction.layer, AuditFallback.layerMemory)
      ),
      Layer.provide(Layer.orDie(keys))
    )
    return yield* Effect.provideService(governance(args), Environment, {
      ...environment,
      reader: (flags) => Layer.merge(environment.reader(flags), Layer.fresh(reports))
    })
  })

/** An environment in which every room fails: what works in it needs no database. */
const nothing = Layer.sync(Environment, () => {
  const none = new UsageError({ subject: "a database", problem: "was opened", todo: "" })
  const fails = () => Layer.effectContext(Effect.fail(none))
  return Environment.of({
    stores: fails,
    services: fails,
    reader: fails,
    owner: fails,
    keeping: fails,
    rotation: fails,
    examine: () => Effect.die(none)
  })
})

describe("evidence on the command line", () => {
  layer(memory)("report, export and verify-bundle", (it) => {
    it.effect("report prints Markdown, JSON or HTML; with --json it is JSON (CLI-05)", () =>
      Effect.gen(function* () {
        yield* Logs.day
        const text = yield* governance(["report"])
        assert.strictEqual(text.code, 0)
        assert.match(text.out, /^# Article 12 evidence report/)
        const json = yield* governance(["report", "--output", "json", "--verify"])
        assert.strictEqual(JSON.parse(json.out).sections.length, 7)
        assert.strictEqual(JSON.parse(json.out).chainIntegrityStatus, "verified")
        assert.deepStrictEqual((yield* governance(["report", "--json", "--verify"])).out, json.out)
        const page = yield* governance(["report", "--output", "html"])
        assert.match(page.out, /^<!doctype html>/)
        const summary = yield* governance([
          "compliance",
          "report",
          "--format",
          "summary",
          "--agent",
          "mail-agent",
          "--json"
        ])
        assert.strictEqual(JSON.parse(summary.out).sections.length, 3)
      })
    )

    it.effect(
      "report -o x.zip is the signed bundle, and verify-bundle says how far it can be trusted (CMP-13, C-14)",
      () =>
        Effect.gen(function* () {
          const path = join(yield* directory, "session.zip")
          const made = yield* governance([
            "report",
            "--session-id",
            "order-4711",
            "--format",
            "article12",
            "-o",
            path,
            "--by",
            "alice"
          ])
          assert.strictEqual(made.code, 0)
          assert.strictEqual(statSync(path).mode & 0o777, 0o600)
          const verified = yield* governance(["verify-bundle", path])
          assert.strictEqual(verified.code, 4)
          assert.match(verified.out, /^NOT VERIFIED/)
          assert.include(verified.out, "NOT COVERED  No checkpoint covers these rows")
          const keyed = yield* governance([
            "verify-bundle",
            path,
            "--checkpoint-key",
            formatVerifierKey(Trees.key, sha256)
          ])
          assert.strictEqual(keyed.code, 4)
          const again = yield* governance(["export", "--session", "order-4711", "-o", path, "--by", "alice"])
          assert.strictEqual(again.code, 2)
          assert.include(again.err, "exists already")
        }).pipe(Effect.scoped)
    )

    it.effect("export records who exported, and the file that it wrote verifies as far as it goes (CMP-12)", () =>
      Effect.gen(function* () {
        const path = join(yield* directory, "all.zip")
        const made = yield* governance(["export", "--all", "-o", path, "--by", "bob", "--json"])
        const facts = JSON.parse(made.out)
        assert.strictEqual(facts.bytes, statSync(path).size)
        assert.strictEqual(facts.sha256, Buffer.from(sha256(readFileSync(path))).toString("hex"))
        const audit = yield* Audit.Audit
        const [last] = yield* audit.getEvents({ kinds: ["compliance.bundle_exported"], newestFirst: true, limit: 1 })
        assert.deepInclude(last!.metadata as object, { by: "bob", rows: facts.rows })
        const broken = Uint8Array.from(readFileSync(path))
        broken[200]! ^= 1
        writeFileSync(`${path}.broken.zip`, broken)
        assert.strictEqual((yield* governance(["verify-bundle", `${path}.broken.zip`])).code, 1)
      }).pipe(Effect.scoped)
    )

    it.effect("export --format json, or a name that ends so, is the bundle as one document (CMP-12, C-14)", () =>
      Effect.gen(function* () {
        const folder = yield* directory
        const [json, named] = [join(folder, "any.name"), join(folder, "Evidence.JSON")]
        const made = yield* governance(["export", "--format", "json", "-o", json, "--by", "bob"])
        assert.strictEqual(made.code, 0)
        assert.include(made.out, `governance verify-bundle ${json}`)
        assert.strictEqual((yield* governance(["export", "-o", named, "--by", "bob"])).code, 0)
        for (const path of [json, named]) {
          const document = JSON.parse(readFileSync(path, "utf8"))
          assert.match(document.bundleHash, /^[0-9a-f]{64}$/)
          assert.strictEqual(document.bundleSignature.algorithm, "HMAC-SHA256")
          const verified = yield* governance(["verify-bundle", path, "--json"])
          assert.strictEqual(verified.code, 4)
          const { exporterFound, verdict } = JSON.parse(verified.out)
          assert.deepStrictEqual([verdict, exporterFound], ["unverifiable", document.bundle.chainIntegrityStatus])
        }
        const zip = join(folder, "x.json.zip")
        assert.strictEqual((yield* governance(["export", "-o", zip, "--by", "bob"])).code, 0)
        assert.strictEqual(readFileSync(zip).subarray(0, 2).toString(), "PK")
      }).pipe(Effect.scoped)
    )

    it.effect("report -o goes by the end of the name, and --output overrules it (CLI-05)", () =>
      Effect.gen(function* () {
        const folder = yield* directory
        const wrote = (name: string, ...more: ReadonlyArray<string>) =>
          Effect.map(governance(["report", "-o", join(folder, name), ...more]), ({ code }) => {
            assert.strictEqual(code, 0)
            return readFileSync(join(folder, name), "utf8")
          })
        assert.match(yield* wrote("a.html"), /^<!doctype html>/)
        assert.match(yield* wrote("a.HTM"), /^<!doctype html>/)
        assert.strictEqual(JSON.parse(yield* wrote("a.json")).format, "article12")
        assert.match(yield* wrote("a.md"), /^# Article 12/)
        assert.match(yield* wrote("a"), /^# Article 12/)
        assert.match(yield* wrote("b.html", "--output", "md"), /^# Article 12/)
        assert.strictEqual(JSON.parse(yield* wrote("c.html", "--json")).format, "article12")
      }).pipe(Effect.scoped)
    )

    it.effect("report --verify ends with 1 and the number of chains where they were tampered with (DEC-20, L-06)", () =>
      Effect.gen(function* () {
        yield* Logs.day
        const broken = new Set(["session:order-4711#3", "session:mail-1#1"])
        const store = yield* tampered({
          row: (row) => (broken.has(`${row.chain}#${row.seq}`) ? { ...row, hmac: new Uint8Array(32) } : row)
        })
        const read = (args: ReadonlyArray<string>) =>
          readingWith(ChainKeys.layerTest, Layer.succeed(AuditStore, store), args)
        const ran = yield* read(["report", "--verify", "--json"])
        assert.strictEqual(ran.code, 1)
        assert.include(ran.err, "2 breaks in 2 chains")
        assert.strictEqual(JSON.parse(ran.out).chainIntegrityStatus, "failed")
        assert.strictEqual((yield* read(["report", "--json"])).code, 0)
      }).pipe(Effect.provide(Layer.fresh(Logs.log), { local: true }))
    )

    it.effect(
      "report --verify ends with 4 where rows cannot be judged: another key, or no secret at all (DEC-20)",
      () =>
        Effect.gen(function* () {
          yield* Logs.day
          const store = Layer.succeed(AuditStore, yield* AuditStore)
          const secret = Redacted.make(newSecret())
          const other = yield* readingWith(ChainKeys.layer({ secret, ephemeralAllowed: false }), store, [
            "report",
            "--verify",
            "--json"
          ])
          assert.strictEqual(other.code, 4)
          assert.include(other.err, "keys that are not here")
          assert.strictEqual(JSON.parse(other.out).chainIntegrityStatus, "unverified")
          const none = yield* readingWith(ChainKeys.layerMemory, store, ["report", "--verify"])
          assert.strictEqual(none.code, 4)
          assert.include(none.out, "not verified")
        }).pipe(Effect.provide(Layer.fresh(Logs.log), { local: true }))
    )

    it.effect("a session or an agent that nobody recorded makes no evidence: exit code 1, no file (CMP-13)", () =>
      Effect.gen(function* () {
        const path = join(yield* directory, "nope.zip")
        const wrong = [
          ["export", "--session", "nope", "-o", path, "--by", "a"],
          ["export", "--agent", "nope", "-o", path, "--by", "a"],
          ["export", "--session", "order-4711", "--session", "nope", "-o", path, "--by", "a"],
          ["report", "--session", "nope", "-o", path, "--by", "a"],
          ["report", "--session", "nope"],
          ["report", "--agent", "nope", "--verify"]
        ]
        for (const args of wrong) {
          const ran = yield* governance(args)
          assert.strictEqual(ran.code, 1, args.join(" "))
          assert.match(ran.err, /The log has no row of (session|agent) nope\. Check the name/)
          assert.isFalse(existsSync(path))
        }
      }).pipe(Effect.scoped)
    )

    it.effect("what is wrong is said in the words of the command line", () =>
      Effect.gen(function* () {
        const said = (args: ReadonlyArray<string>, pattern: RegExp) =>
          Effect.map(governance(args), ({ err }) => assert.match(err, pattern))
        yield* said(["report", "--from", "2030-01-02", "--to", "2030-01-01"], /--from is later than --to/)
        yield* said(["report", "-o", "/nowhere/r.md"], /\/nowhere\/r\.md cannot be written/)
        yield* said(["verify-bundle", "x.zip", "--checkpoint-key", "nonsense"], /governance checkpoint key/)
      })
    )

    it.effect("what cannot be asked is said in one line, with exit code 2 (L-06)", () =>
      Effect.gen(function* () {
        const wrong = [
          ["report", "--format", "pdf"],
          ["report", "--format", "summary"],
          ["report", "--from", "yesterday"],
          ["report", "--from", "2030-01-31T12:00:00"],
          ["report", "--from", "2030-01-02", "--to", "2030-01-01"],
          ["report", "--session-id", ""],
          ["report", "-o", "/nowhere/at/all.md"],
          ["export", "-o", "/nowhere/at/all.zip", "--by", "a"],
          ["export", "--format", "pdf", "-o", "/nowhere/at/all.zip", "--by", "a"],
          ["export", "--agent", "x".repeat(400), "-o", "/nowhere/x.zip", "--by", "a"],
          ["export", "--all", "--session", "s", "-o", "/nowhere/x.zip", "--by", "a"],
          ["verify-bundle", "/nowhere/at/all.zip"],
          ["verify-bundle", "/tmp"],
          ["verify-bundle", "package.json", "--checkpoint-key", "nonsense"],
          ["compliance"]
        ]
        for (const args of wrong) {
          const ran = yield* governance(args)
          assert.strictEqual(ran.code, 2, args.join(" "))
          assert.notStrictEqual(ran.err, "")
        }
      })
    )
  })

  layer(nothing)("verify-bundle", (it) => {
    it.effect("says who signed only once the key that was given fits, archive or document (V8-08, L-10)", () =>
      Effect.gen(function* () {
        const folder = yield* directory
        for (const form of ["zip", "json"] as const) {
          const path = join(folder, `evidence.${form}`)
          writeFileSync(path, (yield* makeBundle(form)).archive)
          const asked = (key: Parameters<typeof formatVerifierKey>[0]) =>
            governance(["verify-bundle", path, "--checkpoint-key", formatVerifierKey(key, sha256)])
          const signed = yield* asked(Trees.key)
          assert.strictEqual(signed.code, 0)
          assert.match(signed.out, /^ok: /)
          assert.include(signed.out, "Signed by effect-governance/")
          assert.include(signed.out, "Its chains, as whoever made it found them: verified.")
          assert.include(signed.out, "NOT COVERED  What came after the checkpoint")
          const other = yield* asked(Trees.keyOf(9))
          const none = yield* governance(["verify-bundle", path])
          assert.deepStrictEqual([other.code, none.code], [3, 4])
          for (const { out } of [other, none]) {
            assert.include(out, "It names the key effect-governance/")
            assert.notInclude(out, "Signed by")
          }
          writeFileSync(path, readFileSync(path).subarray(0, 900))
          const cut = yield* governance(["verify-bundle", path])
          assert.strictEqual(cut.code, 1)
          assert.match(cut.err, /was cut off.*Ask for the file again/)
        }
      }).pipe(Effect.scoped)
    )

    it.effect("opens no database: what is no bundle is refused with exit code 1 (BEY-04)", () =>
      Effect.gen(function* () {
        const path = join(yield* directory, "evil.zip")
        writeFileSync(path, zipSync({ "../evil.txt": new Uint8Array(3) }))
        const evil = yield* governance(["verify-bundle", path])
        assert.strictEqual(evil.code, 1)
        assert.include(evil.err, "a path or a name that no bundle has")
        for (const [other, said] of [
          ["LICENSE", "no ZIP archive"],
          ["package.json", "no bundle in canonical JSON"]
        ] as const) {
          const refused = yield* governance(["verify-bundle", other])
          assert.strictEqual(refused.code, 1)
          assert.include(refused.err, said)
        }
      }).pipe(Effect.scoped)
    )
  })
})
