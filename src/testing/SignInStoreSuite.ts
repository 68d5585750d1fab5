/** The contract of `SignInStore` (PLT-01, OQ-28). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { Email } from "../schema/Workspace.ts"
import { SignInStore } from "../services/SignInStore.ts"
import { WorkspaceStore } from "../services/WorkspaceStore.ts"
import { newWorkspace } from "./WorkspaceStoreSuite.ts"

const digest = () => [globalThis.crypto.randomUUID(), globalThis.crypto.randomUUID()].join("").replaceAll("-", "")
const member = Effect.gen(function* () {
  const email = Email.make(`p-${globalThis.crypto.randomUUID()}@example.org`)
  const store = yield* WorkspaceStore
  yield* store.putMember({ workspace: yield* newWorkspace, email, role: "viewer" }, 1)
  return email
})

/** Registers the tests. */
export const suite = <E>(name: string, stores: Layer.Layer<SignInStore | WorkspaceStore, E>) =>
  layerTest(stores, { excludeTestServices: true, timeout: "60 seconds" })(`SignInStore (${name})`, (it) => {
    it.effect("keeps links for members alone (PLT-01, ATH-05)", () =>
      Effect.gen(function* () {
        const store = yield* SignInStore
        const link = digest()
        const stranger = Email.make("stranger@example.org")
        assert.isFalse(yield* store.issue({ digest: link, email: stranger, expiresMs: 100, nowMs: 1 }))
        assert.isNull(yield* store.redeem(link, { digest: digest(), expiresMs: 100 }, 2))
        assert.isTrue(yield* store.issue({ digest: link, email: yield* member, expiresMs: 100, nowMs: 1 }))
      })
    )

    it.effect("lets one of many use a link, once, and nobody after its end (OQ-28)", () =>
      Effect.gen(function* () {
        const store = yield* SignInStore
        const email = yield* member
        const [link, late] = [digest(), digest()]
        yield* store.issue({ digest: link, email, expiresMs: 100, nowMs: 1 })
        yield* store.issue({ digest: late, email, expiresMs: 100, nowMs: 1 })
        const tries = yield* Effect.forEach(
          Array.from({ length: 8 }, digest),
          (session) => store.redeem(link, { digest: session, expiresMs: 1_000 }, 50),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          tries.filter((found) => found !== null),
          [email]
        )
        assert.isNull(yield* store.redeem(late, { digest: digest(), expiresMs: 1_000 }, 100))
      })
    )

    it.effect("ends sessions by time, one by one and all of a person (PLT-01, ATH-02)", () =>
      Effect.gen(function* () {
        const store = yield* SignInStore
        const email = yield* member
        const sessions = [digest(), digest(), digest()]
        for (const session of sessions) {
          const link = digest()
          yield* store.issue({ digest: link, email, expiresMs: 100, nowMs: 1 })
          yield* store.redeem(link, { digest: session, expiresMs: 1_000 }, 50)
        }
        assert.strictEqual(yield* store.session(sessions[0]!, 999), email)
        assert.isNull(yield* store.session(sessions[0]!, 1_000))
        assert.isNull(yield* store.session(digest(), 60))
        assert.isTrue(yield* store.end(sessions[0]!))
        assert.isFalse(yield* store.end(sessions[0]!))
        assert.isNull(yield* store.session(sessions[0]!, 60))
        assert.strictEqual(yield* store.endAll(email), 2)
        assert.isNull(yield* store.session(sessions[1]!, 60))
      })
    )
  })
