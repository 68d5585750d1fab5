import { hostname } from "node:os"
import { Clock, Context, Effect, Equal, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import { type CoverageReport, InstanceId, type OwnCoverage, reportOf } from "../schema/Coverage.ts"
import { EventId } from "../schema/Ids.ts"
import { hostMatcher, llmHosts } from "../schema/LlmHosts.ts"
import { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import { operatorDraft } from "../schema/OperatorDraft.ts"
import type { StoreError } from "../schema/StoreError.ts"
import { Audit } from "./Audit.ts"
import { CoverageStore } from "./CoverageStore.ts"
import { askedOf } from "./Deadline.ts"
import * as GovernedRequests from "./GovernedRequests.ts"
import * as HostDigests from "./HostDigests.ts"
import * as PooledRandom from "./PooledRandom.ts"
import { authorityOfUrl, watch } from "./RequestWatch.ts"
import { Settings } from "./Settings.ts"
import { Wrappers } from "./Wrappers.ts"

/** Measures which part of the calls to language models is governed, and says who goes past (COV-01 to COV-03, BEY-13). */
export class Coverage extends Context.Service<
  Coverage,
  {
    /** Sends a request that governance admitted, and counts it as governed. A wrapper calls this around its base `fetch`. */
    readonly send: <A>(url: string | URL, send: () => Promise<A>) => Promise<A>
    /** The same for whatever one governed call sends while it is open, where the wrapper does not see the URL. */
    readonly enclose: <A>(isOpen: () => boolean, run: () => A) => A
    /** Counts a governed call to that URL whose request the wrapper cannot enclose in `send`. */
    readonly governed: (url: string | URL) => void
    /** All instances of the registry, this one as it is now. When the registry does not answer: this one, and it says so. */
    readonly report: Effect.Effect<CoverageReport, ModuleDisabledError>
  }
>()("effect-governance/services/Coverage") {}

/** Counts in memory and mirrors that to the store every 5 s. Whatever fails here is logged and stops nothing (RES-01). */
export const make = Effect.gen(function* () {
  const settings = yield* Settings
  const store = yield* CoverageStore
  const wrappers = yield* Wrappers
  const audit = yield* Audit
  const random = yield* SecureRandom.SecureRandom
  const digest = yield* HostDigests.make(settings)
  const ask = askedOf("CoverageStore", settings.enforcementDeadline)

  const instance = InstanceId.make(yield* random.uuidV7())
  const proof = yield* random.randomBytes(32)
  const startedAtMs = yield* Clock.currentTimeMillis
  const machine = digest(hostname())
  const requests = GovernedRequests.make(hostMatcher([...llmHosts, ...settings.coverageHosts]))

  const own = (): OwnCoverage => {
    const tally = requests.tally()
    return {
      instance,
      machine,
      wrappers: wrappers.registrations().slice(0, maxWrappers).map(bounded),
      governed: tally.reduce((sum, { governed }) => sum + governed, 0),
      calls: tally.reduce((sum, { calls }) => sum + calls, 0),
      hosts: tally.map(({ calls, governed, host }) => ({ host: digest(host), governed, calls }))
    }
  }

  const told = new Set<string>()
  const tell = Effect.fnUntraced(function* (host: string) {
    told.add(host)
    yield* Effect.logWarning("coverage.ungoverned_call", {
      host,
      effect: "calls to this language model go past the wrappers: no budget, scope or halt holds for them",
      remedy: "route the client through a wrapper; the warning comes once for each host"
    })
    const id = EventId.make(yield* random.uuidV7())
    const facts = { host: digest(host), instance }
    yield* audit.submit(operatorDraft(id, yield* Clock.currentTimeMillis, "coverage.ungoverned_call", facts))
  })
  const tellOfRaw = Effect.suspend(() =>
    Effect.forEach(
      requests.tally().filter(({ host, raw }) => raw > 0 && !told.has(host)),
      ({ host }) => tell(host),
      { discard: true }
    )
  )

  let mirrored: OwnCoverage | null = null
  let mirroredAtMs = 0
  let failing = false
  const failed = (problem: string) =>
    Effect.suspend(() => {
      if (failing) return Effect.void
      failing = true
      return Effect.logWarning("coverage.mirror_failed", {
        problem,
        effect: "coverage is counted in this process; it is tried again"
      })
    })
  const mirror = Effect.gen(function* () {
    const current = own()
    const nowMs = yield* Clock.currentTimeMillis
    if (nowMs - mirroredAtMs < heartbeatMs && Equal.equals(current, mirrored)) return
    if (!(yield* ask("report", store.report(current, proof)))) return yield* failed("refused: not this instance's row")
    mirrored = current
    mirroredAtMs = nowMs
    failing = false
  }).pipe(Effect.catch((error: StoreError) => failed(error.problem)))

  const round = Effect.andThen(tellOfRaw, mirror).pipe(
    Effect.catchDefect((defect) => Effect.andThen(Effect.logDebug("coverage.defect", defect), failed("defect")))
  )
  // The last counts of a process that ends in peace are not lost; the finalizer runs before the store's connection closes.
  yield* Effect.addFinalizer(() => round)
  yield* watch(requests.seen)
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(round, Effect.sleep("5 seconds"))))

  return Coverage.of({
    send: (url, send) => {
      const host = authorityOfUrl(url)
      return host === undefined ? send() : requests.send(host, send)
    },
    enclose: requests.enclose,
    governed: (url) => {
      const host = authorityOfUrl(url)
      if (host !== undefined) requests.governed(host)
    },
    report: Effect.gen(function* () {
      const here = { ...own(), startedAtMs, lastSeenMs: yield* Clock.currentTimeMillis }
      return yield* ask("list", store.list).pipe(
        Effect.map((all) => reportOf([here, ...all.filter((other) => other.instance !== instance)])),
        Effect.catch((error: StoreError) =>
          Effect.as(Effect.logWarning("coverage.report_failed", { problem: error.problem }), reportOf([here], false))
        )
      )
    }).pipe(Effect.withSpan("Coverage.report"))
  })
})

export const layer = Layer.effect(Coverage, make).pipe(Layer.provide(PooledRandom.layer))

/** What wrappers call goes through, uncounted; the report fails with `ModuleDisabledError` (ENT-05). */
export const layerOff = Layer.succeed(
  Coverage,
  Coverage.of({
    send: (_, send) => send(),
    enclose: (_, run) => run(),
    governed: () => {},
    report: Effect.suspend(() => Effect.fail(new ModuleDisabledError({ module: "coverage" })))
  })
)

/** An instance that counts nothing new says that it is there this often. */
const heartbeatMs = 600_000

/** A row of the registry holds 64 KiB. */
const maxWrappers = 100
const bounded = <A extends { readonly name: string; readonly sdkVersion: string | null }>(wrapper: A): A => ({
  ...wrapper,
  name: wrapper.name.slice(0, 128),
  sdkVersion: wrapper.sdkVersion === null ? null : wrapper.sdkVersion.slice(0, 64)
})
