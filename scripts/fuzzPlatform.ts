// Serves a platform on a database that is thrown away and lets schemathesis (PyPI) loose on the document that it serves.
// Without Python it says so and ends well; --require makes that a failure.
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { HttpServer } from "effect/http"
import { EmbeddedPostgres, layerThrowAway } from "../src/layers/Embedded.ts"
import * as PlatformStores from "../src/layers/PlatformStores.ts"
import * as Database from "../src/layers/postgres/Database.ts"
import { migrate } from "../src/layers/postgres/Migrations.ts"
import { platformMigrationFiles } from "../src/layers/postgres/platformMigrations.generated.ts"
import { SchemaName } from "../src/layers/postgres/SchemaName.ts"
import { Mailer } from "../src/platform/Mailer.ts"
import { PlatformSettings, platformDefaults } from "../src/platform/PlatformSettings.ts"
import * as Server from "../src/platform/Server.ts"
import * as SignIn from "../src/platform/SignIn.ts"
import * as Workflows from "../src/platform/Workflows.ts"
import { Email, WorkspaceId } from "../src/schema/Workspace.ts"
import { WorkspaceStore as Workspaces } from "../src/services/WorkspaceStore.ts"

const version = "4.32.5"
const examples = process.argv.find((word) => /^--examples=\d+$/.test(word))?.split("=")[1] ?? "30"

/** schemathesis in an environment of its own, kept between runs; undefined where there is no Python or no PyPI. */
const schemathesis = (): string | undefined => {
  const home = join(tmpdir(), `effect-governance-schemathesis-${version}-${process.getuid?.() ?? 0}`)
  const program = join(home, "bin", "schemathesis")
  if (existsSync(program)) return program
  mkdirSync(home, { recursive: true, mode: 0o700 })
  const made = spawnSync("python3", ["-m", "venv", home], { stdio: "inherit" })
  if (made.status !== 0) return undefined
  const args = ["install", "--quiet", "--disable-pip-version-check", `schemathesis==${version}`]
  return spawnSync(join(home, "bin", "pip"), args, { stdio: "inherit" }).status === 0 ? program : undefined
}

const schema = SchemaName.make("governance_platform")
const database = Layer.unwrap(
  Effect.gen(function* () {
    const server = yield* EmbeddedPostgres
    const owner = PgClient.layer({ url: server.ownerUrl, maxConnections: 1, transformJson: false })
    const role = new URL(Redacted.value(server.appUrl)).username
    const target = { schema, appRole: role, files: platformMigrationFiles }
    yield* Effect.scoped(Effect.provide(migrate(target), owner, { local: true }))
    return Database.layerFromUrl(server.appUrl, { schema })
  })
).pipe(Layer.provide(layerThrowAway))

const stores = PlatformStores.layer.pipe(Layer.provide(database))

const endless = { limit: 1_000_000_000, windowMs: 60_000 }
const limits = {
  events: endless,
  gates: endless,
  strangers: endless,
  linksByIp: endless,
  linksByEmail: endless,
  people: endless
}
const around = Layer.merge(
  Layer.succeed(PlatformSettings, platformDefaults),
  Layer.succeed(Mailer, Mailer.of({ send: () => Effect.void }))
)
const served = Layer.merge(Server.serveWith(limits), Layer.merge(Workflows.layer, SignIn.layer)).pipe(
  Layer.provideMerge(Layer.merge(stores, around)),
  Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)

const attack = (program: string) =>
  Effect.gen(function* () {
    const workspaces = yield* Workspaces
    const [workspace, email] = [WorkspaceId.make("default"), Email.make("fuzz@example.org")]
    yield* workspaces.create({ id: workspace, name: "Fuzz", tier: "enterprise" }, 0)
    yield* workspaces.putMember({ workspace, email, role: "admin" }, 0)
    const made = yield* Workflows.Workflows.use((workflows) => workflows.create(workspace, "fuzz"))
    const link = yield* SignIn.SignIn.use((signIn) => signIn.link(email))
    const signedIn = yield* SignIn.SignIn.use((signIn) => signIn.redeem(Redacted.make(link?.split("#")[1] ?? "")))
    if (made === null || signedIn === null) return yield* Effect.die(new Error("nobody could be let in"))
    const { address } = yield* HttpServer.HttpServer
    if (address._tag === "UnixPathAddress") return yield* Effect.die(new Error("no port"))
    const args = [
      "run",
      `http://127.0.0.1:${address.port}/openapi.json`,
      "--header",
      `Authorization: Bearer ${Redacted.value(made.secret)}`,
      "--header",
      `Cookie: governance_platform=${Redacted.value(signedIn.session)}`,
      "--exclude-path",
      "/api/v1/session",
      "--checks",
      "not_a_server_error,response_schema_conformance,status_code_conformance,content_type_conformance",
      "--max-examples",
      examples,
      "--seed",
      "20261121",
      "--no-color"
    ]
    // Its notes hold the token that it was given, so they stay out of the tree.
    const cwd = mkdtempSync(join(tmpdir(), "effect-governance-fuzz-"))
    return yield* Effect.callback<number>((resume) => {
      const child = spawn(program, args, { stdio: "inherit", cwd })
      child.on("close", (code) => resume(Effect.succeed(code ?? 1)))
      return Effect.sync(() => child.kill("SIGINT"))
    })
  })

const program = schemathesis()
if (program === undefined) {
  console.log("skipped: schemathesis needs Python 3 and PyPI")
  process.exitCode = process.argv.includes("--require") ? 1 : 0
} else {
  process.exitCode = await Effect.runPromise(Effect.scoped(Effect.provide(attack(program), served)))
}
