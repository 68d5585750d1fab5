/** The contract of `WorkspaceStore` (PLT-02, P-03, P-09). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { Email, TokenId, WorkflowId, WorkspaceId } from "../schema/Workspace.ts"
import { type TokenRow, WorkspaceStore } from "../services/WorkspaceStore.ts"

const run = globalThis.crypto.randomUUID().slice(0, 8)
let made = 0
const fresh = (kind: string) => `${kind}-${run}-${++made}`

/** Suites may share one database, so nothing in it is named twice. */
export const newWorkspace = Effect.gen(function* () {
  const store = yield* WorkspaceStore
  const id = WorkspaceId.make(fresh("ws"))
  yield* store.create({ id, name: "A workspace", tier: "team" }, 1_000)
  return id
})

export const newToken = (createdMs = 1_000): TokenRow => ({
  token: TokenId.make(fresh("token")),
  digest: [globalThis.crypto.randomUUID(), globalThis.crypto.randomUUID()].join("").replaceAll("-", ""),
  hint: "abcd",
  createdMs
})

/** A workflow of a new workspace, and its token. */
export const newWorkflow = Effect.gen(function* () {
  const store = yield* WorkspaceStore
  const place = { workspace: yield* newWorkspace, workflow: WorkflowId.make(fresh("flow")) }
  const token = newToken()
  yield* store.createWorkflow({ ...place, name: "production", createdMs: 1_000 }, token)
  return { ...place, token }
})

/** Registers the tests. */
export const suite = <E>(name: string, stores: Layer.Layer<WorkspaceStore, E>) =>
  layerTest(stores, { excludeTestServices: true, timeout: "60 seconds" })(`WorkspaceStore (${name})`, (it) => {
    it.effect("makes a workspace once and changes its tier", () =>
      Effect.gen(function* () {
        const store = yield* WorkspaceStore
        const id = yield* newWorkspace
        assert.isFalse(yield* store.create({ id, name: "another", tier: "free" }, 2_000))
        assert.deepStrictEqual(yield* store.find(id), { id, name: "A workspace", tier: "team" })
        assert.isTrue(yield* store.setTier(id, "free"))
        assert.deepInclude(yield* store.find(id), { tier: "free" })
        assert.isFalse(yield* store.setTier(WorkspaceId.make("nobody"), "free"))
        assert.isNull(yield* store.find(WorkspaceId.make("nobody")))
      })
    )

    it.effect("keeps each member once, under the role that was given last", () =>
      Effect.gen(function* () {
        const store = yield* WorkspaceStore
        const [one, two] = [yield* newWorkspace, yield* newWorkspace]
        const email = Email.make(`ann-${run}@example.org`)
        assert.isTrue(yield* store.putMember({ workspace: one, email, role: "viewer" }, 1))
        assert.isTrue(yield* store.putMember({ workspace: one, email, role: "admin" }, 2))
        assert.isTrue(yield* store.putMember({ workspace: two, email, role: "viewer" }, 3))
        assert.isFalse(yield* store.putMember({ workspace: WorkspaceId.make("nobody"), email, role: "admin" }, 4))
        assert.deepStrictEqual(yield* store.members(one), [{ workspace: one, email, role: "admin" }])
        assert.deepStrictEqual(
          (yield* store.memberships(email)).map(({ id, role }) => [id, role]).sort(),
          [
            [one, "admin"],
            [two, "viewer"]
          ].sort()
        )
        assert.isTrue(yield* store.removeMember(one, email))
        assert.isFalse(yield* store.removeMember(one, email))
        assert.deepStrictEqual(yield* store.members(one), [])
      })
    )

    it.effect("makes a workflow with its first token, or neither (PLT-02)", () =>
      Effect.gen(function* () {
        const store = yield* WorkspaceStore
        const { token, ...place } = yield* newWorkflow
        const owner = { ...place, token: token.token, tier: "team" }
        assert.deepStrictEqual(yield* store.owner(token.digest), { ...owner, tier: "team" })
        const again = newToken()
        const twin = { workspace: place.workspace, workflow: WorkflowId.make(fresh("flow")) }
        const taken = yield* store.createWorkflow({ ...twin, name: "production", createdMs: 5 }, again)
        assert.strictEqual(taken, "NameTaken")
        assert.isNull(yield* store.owner(again.digest))
        const nowhere = { workspace: WorkspaceId.make("nobody"), workflow: WorkflowId.make("w") }
        assert.strictEqual(
          yield* store.createWorkflow({ ...nowhere, name: "x", createdMs: 5 }, newToken()),
          "NoWorkspace"
        )
        assert.deepStrictEqual(yield* store.workflows(place.workspace), [
          { ...place, name: "production", createdMs: 1_000 }
        ])
      })
    )

    it.effect("revokes one token and leaves the others good (PLT-02, P-03)", () =>
      Effect.gen(function* () {
        const store = yield* WorkspaceStore
        const { token, ...place } = yield* newWorkflow
        const second = newToken(2_000)
        assert.isTrue(yield* store.addToken(place, second))
        assert.isTrue(yield* store.revokeToken(place, token.token, 3_000))
        assert.isFalse(yield* store.revokeToken(place, token.token, 4_000))
        assert.isNull(yield* store.owner(token.digest))
        assert.isNotNull(yield* store.owner(second.digest))
        assert.deepStrictEqual(yield* store.tokens(place), [
          { token: token.token, hint: "abcd", createdMs: 1_000, revokedMs: 3_000 },
          { token: second.token, hint: "abcd", createdMs: 2_000, revokedMs: null }
        ])
        assert.deepInclude(yield* store.placeOfToken(second.token), place)
        assert.isNull(yield* store.placeOfToken(TokenId.make("none")))
      })
    )

    it.effect("does nothing to a workflow that is named with another workspace (P-09)", () =>
      Effect.gen(function* () {
        const store = yield* WorkspaceStore
        const { token, ...place } = yield* newWorkflow
        const foreign = { workspace: yield* newWorkspace, workflow: place.workflow }
        assert.isNull(yield* store.workflow(foreign))
        assert.isFalse(yield* store.addToken(foreign, newToken()))
        assert.isFalse(yield* store.revokeToken(foreign, token.token, 1))
        assert.deepStrictEqual(yield* store.tokens(foreign), [])
        assert.isNotNull(yield* store.owner(token.digest))
      })
    )
  })
