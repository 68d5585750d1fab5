import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as PlatformStores from "../../src/layers/PlatformStores.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as RowSecurity from "../../src/layers/postgres/RowSecurity.ts"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import { Email, TokenId, WorkflowId, type WorkflowPlace, WorkspaceId } from "../../src/schema/Workspace.ts"
import { InboxStore } from "../../src/services/InboxStore.ts"
import { IngestStore } from "../../src/services/IngestStore.ts"
import { WitnessStore } from "../../src/services/WitnessStore.ts"
import { WorkspaceStore } from "../../src/services/WorkspaceStore.ts"
import { layerSql, TestDatabase } from "../support/database.ts"
import { platformDatabase, postgresStores, schema, stores } from "./Stores.ts"
import { forgetful, rewritten, type Said, tenantTables as tables } from "./Tenants.ts"

const hash = "a".repeat(64)
const request = "11111111-1111-4111-8111-111111111111"

/** Two tenants with something in every table. */
const tenantNamed = Effect.fnUntraced(function* (name: string) {
  const place: WorkflowPlace = { workspace: WorkspaceId.make(name), workflow: WorkflowId.make(`${name}-flow`) }
  const spaces = yield* WorkspaceStore
  const email = Email.make(`${name}@example.org`)
  const token = { token: TokenId.make(`${name}-token`), digest: hashOf(name), hint: "abcd", createdMs: 0 }
  yield* spaces.create({ id: place.workspace, name, tier: "enterprise" }, 0)
  yield* spaces.createWorkflow({ ...place, name: "production", createdMs: 0 }, token)
  yield* spaces.putMember({ workspace: place.workspace, email, role: "admin" }, 0)
  const event = (digest: string) => ({ ...eventOf(name), digest })
  yield* IngestStore.use((store) => store.append(place, name, [event(hash)], 1))
  yield* IngestStore.use((store) => store.append(place, name, [event("b".repeat(64))], 1))
  yield* InboxStore.use((store) => store.forward(gateOf(place, name)))
  const note = { origin: name, verifierKey: name, size: 2, root: hash, frontier: [hash], note: name, seenMs: 1 }
  const chains = [{ chain: name, seq: 1, hash }]
  const first = { ...note, size: 0 }
  yield* WitnessStore.use((store) => store.advance(place, null, first, []))
  yield* WitnessStore.use((store) => store.adopt(place, first, { ...note, size: 1 }, adoptionOf(name)))
  yield* WitnessStore.use((store) => store.advance(place, { ...note, size: 1 }, note, chains))
  const alarm = { alarm: name, origin: name, problem: "forked", note: name, keptNote: null, seenMs: 1 }
  yield* WitnessStore.use((store) => store.raise(place, alarm))
  return { place, email, token: token.token, name, note }
})

const hashOf = (name: string) => Buffer.from(name).toString("hex").padEnd(64, "0")
const eventOf = (name: string) => ({
  event: `${name}-event`,
  seq: 1,
  eventType: "t",
  agent: name,
  session: null,
  createdAt: "2026-01-01T00:00:00.000Z",
  metadata: "{}",
  sdkVersion: "1"
})
const gateOf = (place: WorkflowPlace, name: string) => ({
  ...place,
  request,
  agent: name,
  kind: "refund",
  actionHash: hash,
  expiresMs: 9e12,
  sdkVersion: "1",
  receivedMs: 1
})

const adoptionOf = (name: string) => ({
  adoption: name,
  origin: name,
  statement: name,
  keptNote: name,
  fromSize: 0,
  size: 1,
  by: name,
  reason: name,
  at: "2026-01-01T00:00:00.000Z",
  seenMs: 1
})

const failure = (text: string) =>
  Effect.map(Effect.flip(Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(text).values)), (error) =>
    String(sqlState(error))
  )

const within = (workspace: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql.unsafe("SELECT set_config('governance.workspace', $1, true)", [workspace]).values
  )
const names = (table: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql.unsafe(`SELECT DISTINCT workspace FROM governance_platform.governance_${table}`).values
  )

/** Everything that a store can be asked with a workspace: with one's own workspace and the other's ids. */
const everything = Effect.fnUntraced(function* (
  workspace: WorkspaceId,
  other: Effect.Success<ReturnType<typeof tenantNamed>>
) {
  const spaces = yield* WorkspaceStore
  const events = yield* IngestStore
  const inbox = yield* InboxStore
  const witness = yield* WitnessStore
  const place = { workspace, workflow: other.place.workflow }
  const query = { before: null, after: null, agent: null, session: null, eventType: null, limit: 100 }
  const shown = { decision: "granted", by: other.email, atMs: 5, actionHash: hash } as const
  const next = { ...other.note, size: 3, note: "stolen" }
  const alarm = { alarm: "x", origin: "x", problem: "x", note: "x", keptNote: null, seenMs: 1 }
  return {
    found: yield* spaces.find(workspace),
    tier: yield* spaces.setTier(workspace, "enterprise"),
    members: yield* spaces.members(workspace),
    removed: yield* spaces.removeMember(workspace, other.email),
    workflows: yield* spaces.workflows(workspace),
    workflow: yield* spaces.workflow(place),
    tokens: yield* spaces.tokens(place),
    added: yield* spaces.addToken(place, {
      token: TokenId.make("new"),
      digest: "d".repeat(64),
      hint: "x",
      createdMs: 0
    }),
    revoked: yield* spaces.revokeToken(place, other.token, 9),
    appended: yield* events.append(place, "i", [{ ...eventOf("new"), digest: hash }], 1),
    timeline: yield* events.timeline(place, query),
    conflicts: yield* events.conflicts(place, 100),
    forwarded: yield* inbox.forward({ ...gateOf(place, "thief"), request: "22222222-2222-4222-8222-222222222222" }),
    gate: yield* inbox.find(place, request),
    settled: yield* inbox.settle(place, request, { status: "granted", atMs: 1 }),
    decided: yield* inbox.decide(place, request, shown),
    list: (yield* inbox.list(workspace, { open: false, nowMs: 5, limit: 100 })).map((gate) => gate.agent),
    witnessed: yield* witness.find(place, other.name),
    logs: yield* witness.list(place),
    chains: yield* witness.chains(place, other.name, [other.name]),
    advanced: yield* witness.advance(place, other.note, next, []),
    adopted: yield* witness.adopt(place, other.note, next, adoptionOf("thief")),
    adoptions: yield* witness.adoptions(place, 100),
    raised: yield* witness.raise(place, alarm),
    alarms: yield* witness.alarms(place, 100)
  }
})

/** What is there for somebody who is told of nothing but their own. */
const nothingOf = (own: Effect.Success<ReturnType<typeof tenantNamed>>) => ({
  found: { id: own.place.workspace, name: own.name, tier: "enterprise" },
  tier: true,
  members: [{ workspace: own.place.workspace, email: own.email, role: "admin" }],
  removed: false,
  workflows: [{ ...own.place, name: "production", createdMs: 0 }],
  workflow: null,
  tokens: [],
  added: false,
  revoked: false,
  appended: { _tag: "NoWorkflow" },
  timeline: [],
  conflicts: [],
  forwarded: "NoWorkflow",
  gate: null,
  settled: null,
  decided: null,
  list: [own.name],
  witnessed: null,
  logs: [],
  chains: [],
  advanced: false,
  adopted: false,
  adoptions: [],
  raised: undefined,
  alarms: []
})

const withTenants = Layer.provideMerge(layerSql("app", { maxConnections: 1 }), postgresStores)

layer(withTenants, { excludeTestServices: true, timeout: "120 seconds" })("Row security of the platform", (it) => {
  it.effect(
    "hides every tenant from a statement that forgets to name its own, in every act of every store (P-09)",
    () =>
      Effect.gen(function* () {
        const [own, other] = [yield* tenantNamed("one-a"), yield* tenantNamed("one-b")]
        const said: Said = { texts: new Set(), changed: 0 }
        const seen = yield* Effect.provide(everything(own.place.workspace, other), rewritten(said, forgetful), {
          local: true
        })
        assert.deepStrictEqual<unknown>(seen, nothingOf(own))
        // Only ingest goes through a function, whose own statements are held to the same.
        assert.isAtLeast(said.changed, 23)
        // The other has lost nothing by it.
        assert.deepInclude(yield* InboxStore.use((store) => store.find(other.place, request)), {
          inbox: null,
          local: null
        })
        assert.lengthOf(yield* WorkspaceStore.use((store) => store.members(other.place.workspace)), 1)
        assert.strictEqual((yield* WitnessStore.use((store) => store.list(other.place)))[0]?.note, "one-b")
        assert.isNotNull(yield* WorkspaceStore.use((store) => store.owner(hashOf("one-b"))))
      })
  )

  it.effect("is what keeps them apart then: without it the same forgetful statements give everything away (P-09)", () =>
    Effect.gen(function* () {
      const [own, other] = [yield* tenantNamed("two-a"), yield* tenantNamed("two-b")]
      const said: Said = { texts: new Set(), changed: 0 }
      const { adminUrl } = yield* TestDatabase
      const unbound = Database.layerFromUrl(adminUrl, { schema })
      const seen = yield* Effect.provide(
        everything(own.place.workspace, other),
        rewritten(said, forgetful).pipe(Layer.provide(unbound)),
        { local: true }
      )
      assert.isTrue(seen.removed)
      assert.isNotNull(seen.gate)
      assert.include(JSON.stringify(seen.timeline), "two-b")
      assert.include(JSON.stringify(seen.members), "two-b")
      assert.strictEqual(seen.advanced, true)
    })
  )

  it.effect("refuses whoever has not said a workspace, and takes no row for another one (P-09)", () =>
    Effect.gen(function* () {
      yield* tenantNamed("three-a")
      yield* tenantNamed("three-b")
      const sql = yield* SqlClient.SqlClient
      const readable = tables.filter((table) => table !== "senders")
      for (const table of readable) {
        assert.strictEqual(yield* failure(`SELECT * FROM governance_platform.governance_${table}`), "GV110", table)
        const seen = yield* sql.withTransaction(Effect.andThen(within("three-a"), names(table)))
        assert.deepStrictEqual(seen, [["three-a"]], table)
        // On the same connection, the next one who borrows it is where nobody is.
        assert.strictEqual(yield* failure(`SELECT * FROM governance_platform.governance_${table}`), "GV110", table)
      }
      const forged = sql.withTransaction(
        Effect.andThen(
          within("three-a"),
          sql.unsafe(`INSERT INTO governance_platform.governance_members (workspace, email, role, invited_ms)
            VALUES ('three-b', 'thief@example.org', 'admin', 0)`).values
        )
      )
      assert.strictEqual(sqlState(yield* Effect.flip(forged)), "42501")
      const moved = sql.withTransaction(
        Effect.andThen(
          within("three-a"),
          sql.unsafe("UPDATE governance_platform.governance_members SET workspace = 'three-b'").values
        )
      )
      assert.strictEqual(sqlState(yield* Effect.flip(moved)), "42501")
    })
  )

  it.effect("cannot be switched off by the role that serves (P-09, A-17)", () =>
    Effect.gen(function* () {
      yield* tenantNamed("four")
      const { ownerRole } = yield* TestDatabase
      for (const statement of [
        "ALTER TABLE governance_platform.governance_events DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE governance_platform.governance_events NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY governance_tenant ON governance_platform.governance_events",
        "CREATE POLICY open ON governance_platform.governance_events USING (true)",
        "SELECT governance_platform.governance_keep_apart('governance_platform.governance_events')",
        "SELECT governance_platform.governance_ingest('four', 'four-flow', '-', 0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
        `SET ROLE "${ownerRole}"`,
        "CREATE OR REPLACE FUNCTION governance_platform.governance_tenant() RETURNS text LANGUAGE sql AS 'SELECT $$x$$'"
      ]) {
        assert.strictEqual(yield* failure(statement), "42501", statement)
      }
      const sql = yield* SqlClient.SqlClient
      const asked = (setting: string) =>
        sql
          .withTransaction(Effect.andThen(sql.unsafe(setting).values, names("events")))
          .pipe(Effect.flip, Effect.map(sqlState))
      assert.strictEqual(yield* asked("SET LOCAL row_security = off"), "42501")
      assert.strictEqual(yield* asked("SET LOCAL governance.operator = 'on'"), "GV110")
      assert.strictEqual(yield* asked("SET LOCAL governance.workspace = ''"), "GV110")
    })
  )

  it.effect("binds the owner too, who looks after all of them only by saying so (P-09)", () =>
    Effect.gen(function* () {
      yield* tenantNamed("five-a")
      yield* tenantNamed("five-b")
      const { ownerUrl } = yield* TestDatabase
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* failure("SELECT * FROM governance_platform.governance_events"), "GV110")
        const sql = yield* SqlClient.SqlClient
        const strayed = yield* sql.withTransaction(
          Effect.andThen(
            within("five-a"),
            sql.unsafe(
              `SELECT r_outcome FROM governance_platform.governance_ingest('five-b', 'five-b-flow', '-', 0, '{}', '{}', '{}', '{}',
                 '{}', '{}', '{}', '{}', '{}')`
            ).values
          )
        )
        assert.deepStrictEqual(strayed, [[null]])
        const deleted = yield* sql.withTransaction(
          Effect.andThen(
            sql.unsafe("SET LOCAL governance.operator = 'on'").values,
            sql.unsafe(
              "DELETE FROM governance_platform.governance_events WHERE workspace LIKE 'five-%' RETURNING workspace"
            ).values
          )
        )
        assert.lengthOf(deleted, 2)
      }).pipe(Effect.provide(layerSql("owner"), { local: true }))
      // A server that connects as the owner serves all the same.
      const asOwner = stores.pipe(Layer.provide(Database.layerFromUrl(ownerUrl, { schema })))
      const found = yield* Effect.provide(
        WorkspaceStore.use((store) =>
          Effect.all([store.owner(hashOf("five-a")), store.memberships(Email.make("five-b@example.org"))])
        ),
        asOwner,
        { local: true }
      )
      assert.strictEqual(found[0]?.workspace, "five-a")
      assert.lengthOf(found[1], 1)
    })
  )

  it.effect("leaves nothing set behind: neither by a lookup nor by ingest inside somebody's transaction (P-09)", () =>
    Effect.gen(function* () {
      const { place } = yield* tenantNamed("six")
      const sql = yield* SqlClient.SqlClient
      const settings = yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* within("elsewhere")
          yield* sql.unsafe("SELECT * FROM governance_platform.governance_token_owner($1)", [hashOf("six")]).values
          yield* sql.unsafe("SELECT * FROM governance_platform.governance_memberships('six@example.org')").values
          yield* sql.unsafe(
            "SELECT * FROM governance_platform.governance_ingest_within($1, $2, '-', 0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
            [place.workspace, place.workflow]
          ).values
          return yield* sql.unsafe(
            "SELECT current_setting('governance.workspace'), current_setting('governance.operator')"
          ).values
        })
      )
      assert.deepStrictEqual(settings, [["elsewhere", ""]])
    })
  )
})

layer(platformDatabase, { excludeTestServices: true, timeout: "60 seconds" })("The check of row security", (it) => {
  const statuses = (role: "app" | "owner" | "admin") =>
    Effect.map(RowSecurity.examine(schema), (found) => found.map(({ status }) => status)).pipe(
      Effect.provide(layerSql(role), { local: true })
    )

  it.effect("knows each way in which the wall can be open (P-09, A-19)", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* statuses("app"), ["ok", "ok"])
      assert.deepStrictEqual(yield* statuses("owner"), ["ok", "warn"])
      assert.deepStrictEqual(yield* statuses("admin"), ["ok", "warn"])
      const owner = (text: string) =>
        SqlClient.SqlClient.use((sql) => sql.unsafe(text).values).pipe(
          Effect.provide(layerSql("owner"), { local: true })
        )
      const events = "governance_platform.governance_events"
      for (const [open, close] of [
        [`ALTER TABLE ${events} DISABLE ROW LEVEL SECURITY`, `ALTER TABLE ${events} ENABLE ROW LEVEL SECURITY`],
        [`ALTER TABLE ${events} NO FORCE ROW LEVEL SECURITY`, `ALTER TABLE ${events} FORCE ROW LEVEL SECURITY`],
        [`CREATE POLICY another ON ${events} USING (true)`, `DROP POLICY another ON ${events}`],
        [
          "CREATE TABLE governance_platform.governance_new (workspace text)",
          "SELECT governance_platform.governance_keep_apart('governance_platform.governance_new')"
        ]
      ] as const) {
        yield* owner(open)
        assert.deepStrictEqual(yield* statuses("app"), ["fail", "ok"], open)
        yield* owner(close)
        assert.deepStrictEqual(yield* statuses("app"), ["ok", "ok"], close)
      }
      // A table that a later migration forgot is closed by the next run.
      yield* owner("CREATE TABLE governance_platform.governance_forgotten (workspace text)")
      assert.deepStrictEqual(yield* statuses("app"), ["fail", "ok"])
      const { appRole } = yield* TestDatabase
      yield* Effect.provide(PlatformStores.migrate({ appRole }), layerSql("owner"), { local: true })
      assert.deepStrictEqual(yield* statuses("app"), ["ok", "ok"])
    })
  )
})
