import { AsyncLocalStorage } from "node:async_hooks"
import { getEventListeners } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import {
  AgentHaltedError,
  ApprovalDenied,
  ApprovalPending,
  BudgetExceeded,
  ContractViolation,
  Governance,
  GovernanceClosed,
  InvalidInput,
  type LogEntry,
  LoopDetected,
  ModuleDisabledError,
  PolicyNotRegistered,
  ScopeViolation
} from "../../src/promise/Governance.ts"

const rejected = async (promise: PromiseLike<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  assert.fail("it was not rejected")
}

const clerk = async (options?: Parameters<typeof Governance.memory>[0]) => {
  const governance = await Governance.memory({ warnOnNoWrappers: false, log: () => {}, ...options })
  if (options?.enableScope !== false) {
    await governance.scope.register({ agentId: "clerk", allowedTools: ["refund", "read"] })
  }
  return governance
}
const call = { agentId: "clerk", sessionId: "s1", tool: "refund" }

describe("the Promise facade", () => {
  it("runs a call that is allowed and gives what it returns (SYN-02)", async () => {
    await using governance = await clerk()
    assert.strictEqual(await governance.governed(call, () => "done"), "done")
    assert.strictEqual(await governance.governed(call, async ({ agentId }) => `by ${agentId}`), "by clerk")
    const kinds = (await governance.audit.getEvents({ agentId: "clerk" })).map(({ kind }) => kind)
    assert.deepStrictEqual(kinds.sort(), ["tool.call", "tool.call", "tool.result", "tool.result"])
    assert.isTrue(await governance.audit.verifyChain())
  })

  it("rejects with the very classes: Error, tag, hint, never a wrapper (SYN-02, ERR-01)", async () => {
    await using governance = await clerk()
    await governance.cost.register({ agentId: "clerk", perAgentUsdDaily: "1.00" })
    await governance.loop.register({ agentId: "clerk", windowSeconds: 60, maxCalls: 1 })
    const never = () => assert.fail("it ran")
    const cases: ReadonlyArray<readonly [unknown, { readonly name: string; readonly prototype: Error }]> = [
      [await rejected(governance.governed({ ...call, tool: "delete" }, never)), ScopeViolation],
      [await rejected(governance.governed({ ...call, agentId: "stranger" }, never)), PolicyNotRegistered],
      [await rejected(governance.governed({ ...call, maxUsd: 2 }, never)), BudgetExceeded],
      [await rejected(governance.governed({ ...call, agentId: "" }, never)), InvalidInput],
      [await rejected(governance.scope.check("clerk", { tool: "delete" })), ScopeViolation],
      [
        await rejected(governance.governed({ ...call, approval: { required: true, wait: false } }, never)),
        ApprovalPending
      ]
    ]
    for (const [error, type] of cases) {
      assert.instanceOf(error, Error)
      assert.strictEqual(Object.getPrototypeOf(error), type.prototype)
      assert.strictEqual(Reflect.get(error, "_tag"), type.name)
      assert.isString(Reflect.get(error, "recoveryHint"))
      assert.notInclude(error.message, "Fiber")
    }
    await governance.governed({ ...call, tool: "read" }, () => 1)
    assert.instanceOf(await rejected(governance.governed({ ...call, tool: "read" }, never)), LoopDetected)
  })

  it("lets what the caller's function throws out as it is, and charges the call (SYN-02)", async () => {
    await using governance = await clerk()
    await governance.cost.register({ agentId: "clerk", perAgentUsdDaily: 10 })
    const mine = new TypeError("mine")
    assert.strictEqual(
      await rejected(
        governance.governed({ ...call, maxUsd: 2 }, () => {
          throw mine
        })
      ),
      mine
    )
    assert.strictEqual(await rejected(governance.governed(call, () => Promise.reject("text"))), "text")
    assert.strictEqual((await governance.cost.snapshot("clerk", "s1")).state.dailyUsd, 2_000_000_000n)
  })

  it("charges what the function reports, dollars or usage, and refuses amounts that are none (BEY-07)", async () => {
    await using governance = await clerk()
    await governance.cost.register({ agentId: "clerk", perAgentUsdDaily: 10 })
    await governance.governed({ ...call, maxUsd: 5 }, (ticket) => ticket.report({ usd: "0.25", tokens: 7 }))
    const { agentDailyUsdRemaining, state } = await governance.cost.snapshot("clerk", "s1")
    assert.strictEqual(state.dailyUsd, 250_000_000n)
    assert.strictEqual(state.dailyTokens, 7n)
    assert.strictEqual(agentDailyUsdRemaining, 9_750_000_000n)
    const wrong = governance.governed(call, (ticket) => ticket.report({ usd: -1 }))
    assert.instanceOf(await rejected(wrong), InvalidInput)
  })

  it("aborts the signal of a running call when the agent is halted, and rejects with the halt (BEY-05)", async () => {
    await using governance = await clerk()
    let reason: unknown
    const running = governance.governed(call, async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }))
      reason = signal.reason
      return "too late"
    })
    const failed = rejected(running)
    await sleep(20)
    const halt = await governance.presence.halt("clerk", { by: "ada", reason: "wrong account" })
    assert.instanceOf(halt.haltedAt, Date)
    const error = await failed
    assert.instanceOf(error, AgentHaltedError)
    assert.instanceOf(reason, AgentHaltedError)
    assert.instanceOf(await rejected(governance.governed(call, () => 1)), AgentHaltedError)
    assert.strictEqual((await governance.presence.resume("clerk", { by: "ada" }))?.haltedBy, "ada")
    assert.isUndefined(await governance.presence.resume("clerk", { by: "ada" }))
    assert.strictEqual(await governance.governed(call, () => 1), 1)
  })

  it("lets a halted agent through no door (PRS-06, BEY-05)", async () => {
    await using governance = await clerk()
    const asked = await governance.gates.request("refund", "clerk", { order: 1 })
    await governance.cost.register({ agentId: "clerk", perAgentUsdDaily: 10 })
    await governance.loop.register({ agentId: "clerk", windowSeconds: 60, maxCalls: 5 })
    await governance.contracts.register({
      agentId: "clerk",
      tool: "refund",
      pre: [{ check: "scope_allowed", message: "must be listed" }]
    })
    await governance.presence.halt("clerk", { by: "ada", reason: "stop" })
    const never = () => assert.fail("it ran")
    const used = { agentId: "clerk", tool: "refund", input: {} }
    const doors: Record<string, () => Promise<unknown>> = {
      governed: () => governance.governed(call, never),
      governedStream: () => governance.governedStream(call, never)[Symbol.asyncIterator]().next(),
      requireApproval: () => governance.requireApproval({ agentId: "clerk", tool: "refund" }, never)({}),
      scope: () => governance.scope.check("clerk", { tool: "refund" }),
      requireTool: () => governance.scope.requireTool("refund", "clerk", never),
      cost: () => governance.cost.checkOrFail("clerk", null, { usd: 1 }),
      gates: () => governance.gates.request("refund", "clerk", { order: 2 }),
      waiting: () => governance.gates.waitFor(asked.requestId),
      loop: () => governance.loop.recordCall("clerk", "s1", "refund"),
      presence: () => governance.presence.assertNotHalted("clerk"),
      contracts: () => governance.contracts.checkPre(used),
      enforce: () => governance.contracts.enforce(used, never)
    }
    for (const [door, open] of Object.entries(doors)) assert.instanceOf(await rejected(open()), AgentHaltedError, door)
  })

  it("stops waiting when the caller's signal aborts, with its reason, and settles the call (SYN-02)", async () => {
    await using governance = await clerk()
    const controller = new AbortController()
    let seen: unknown
    const running = rejected(
      governance.governed(
        call,
        ({ signal }) =>
          new Promise(() =>
            signal.addEventListener("abort", () => {
              seen = signal.reason
            })
          ),
        { signal: controller.signal }
      )
    )
    const mine = new Error("client went away")
    controller.abort(mine)
    assert.strictEqual(await running, mine)
    assert.strictEqual(seen, mine)
    const asked = await governance.gates.request("refund", "clerk", { order: 1 })
    assert.strictEqual(await rejected(governance.gates.waitFor(asked.requestId, { signal: controller.signal })), mine)
    assert.strictEqual(
      await rejected(governance.gates.waitFor(asked.requestId, { signal: AbortSignal.timeout(10) })).then(
        (error) => (error as Error).name
      ),
      "TimeoutError"
    )
    const outcomes = (await governance.audit.getEvents({ sessionId: "s1" })).map(({ kind }) => kind)
    assert.deepStrictEqual(outcomes, ["tool.call", "tool.result"])
  })

  it("waits for a person, who may change the arguments (GAT-03, GAT-04, BEY-10)", async () => {
    await using governance = await clerk()
    await governance.presence.heartbeat("clerk", { operatorId: "olga" })
    const refund = governance.requireApproval(call, (input, ticket) => {
      assert.instanceOf(ticket.signal, AbortSignal)
      return input
    })
    const decide = async (how: (token: string) => Promise<unknown>) => {
      for (;;) {
        const [card] = await governance.gates.list({ which: "pending" })
        if (card !== undefined) return how(card.token ?? "")
        await sleep(5)
      }
    }
    const given = { usd: 5 }
    const first = refund(given)
    given.usd = 500
    await decide((token) => governance.gates.grant(token, { by: "rita", arguments: { usd: 3 } }))
    assert.deepStrictEqual(await first, { usd: 3 })
    const second = rejected(refund({ usd: 9 }))
    await decide((token) => governance.gates.deny(token, { by: "rita", reason: "no" }))
    assert.instanceOf(await second, ApprovalDenied)
  })

  it("runs the function where it was called: async local storage of the framework is there (SYN-02)", async () => {
    await using governance = await clerk()
    const request = new AsyncLocalStorage<string>()
    const seen = await Promise.all(
      ["a", "b", "c"].map((id) =>
        request.run(id, () =>
          governance.governed({ ...call, sessionId: id }, async () => {
            await sleep(1)
            return request.getStore()
          })
        )
      )
    )
    assert.deepStrictEqual(seen, ["a", "b", "c"])
    const parts = request.run("d", () =>
      governance.governedStream(call, async function* () {
        yield request.getStore()
        await sleep(1)
        yield request.getStore()
      })
    )
    const read: Array<string | undefined> = []
    for await (const part of parts) read.push(part)
    assert.deepStrictEqual(read, ["d", "d"])
  })

  it("suggests another model, and prices it (ROU-01, BEY-08)", async () => {
    await using governance = await clerk({ enableRouting: true })
    const rules = { "gpt-4o-2024-05-13": "gpt-4o-mini" }
    await governance.routing.register({ agentId: "clerk", mode: "rules", rules })
    assert.strictEqual(
      await governance.routing.suggest({ agentId: "clerk", model: "gpt-4o-2024-05-13" }),
      "gpt-4o-mini"
    )
    const usage = { model: "gpt-4o-2024-05-13", inputTokens: 1000, outputTokens: 1000 }
    assert.strictEqual((await governance.pricing.price(usage, { at: new Date() })).usd, 20_000_000n)
    assert.strictEqual((await governance.pricing.listed("gpt-4o-2024-05-13"))?.tiers[0]?.aboveInputTokens, 0)
    assert.isUndefined(await governance.pricing.listed("no-such-model"))
  })

  it("gives a governed reply part by part; leaving the loop settles it, a halt cuts it (BEY-05, BEY-07)", async () => {
    await using governance = await clerk()
    await governance.cost.register({ agentId: "clerk", perAgentUsdDaily: 10 })
    const parts = (usd: string) =>
      governance.governedStream({ ...call, maxUsd: 3 }, async function* (ticket) {
        for (let n = 0; ; n++) {
          ticket.report({ usd })
          yield n
          await sleep(1)
        }
      })
    for await (const part of parts("0.5")) if (part === 3) break
    assert.strictEqual((await governance.cost.snapshot("clerk", "s1")).state.dailyUsd, 500_000_000n)
    const cut = await rejected(
      (async () => {
        for await (const part of parts("0.25")) {
          if (part === 3) await governance.presence.halt("clerk", { by: "ada", reason: "stop" })
        }
      })()
    )
    assert.instanceOf(cut, AgentHaltedError)
    assert.strictEqual((await governance.cost.snapshot("clerk", "s1")).state.heldUsd, 0n)
  })

  it("follows the log until it is left, aborted or closed (AUD-15)", async () => {
    const governance = await clerk()
    const controller = new AbortController()
    const seen: Array<string> = []
    const told: Array<string> = []
    const stop = await governance.audit.subscribe((record) => void told.push(record.kind))
    const following = (async () => {
      for await (const record of governance.audit.tail()) seen.push(record.kind)
      return "ended"
    })()
    const aborted = rejected(
      (async () => {
        for await (const _ of governance.audit.tail({ signal: controller.signal })) assert.fail("nothing yet")
      })()
    )
    await sleep(20)
    controller.abort(new Error("enough"))
    assert.strictEqual(String(await aborted), "Error: enough")
    await governance.audit.log({ kind: "order.placed", agentId: "clerk" })
    await stop()
    await governance.audit.log({ kind: "order.paid", agentId: "clerk" })
    while (seen.length < 2) await sleep(5)
    assert.deepStrictEqual(seen, ["order.placed", "order.paid"])
    assert.deepStrictEqual(told, ["order.placed"])
    await governance.close()
    assert.strictEqual(await following, "ended")
  })

  it("leaves nothing behind on a signal that lives on (SYN-02)", async () => {
    await using governance = await clerk()
    const { signal } = new AbortController()
    await governance.governed(call, () => sleep(1), { signal })
    await rejected(governance.governed({ ...call, tool: "delete" }, () => 1, { signal }))
    const asked = await governance.gates.request("refund", "clerk", { order: 1 })
    await rejected(governance.gates.waitFor(asked.requestId, { signal, timeout: 5 }))
    const parts = () =>
      governance.governedStream(
        call,
        async function* () {
          yield 1
          yield 2
        },
        { signal }
      )
    for await (const _ of parts()) break
    for await (const _ of parts()) {
      // To its end.
    }
    assert.lengthOf(getEventListeners(signal, "abort"), 0)
  })

  it("holds calls to contracts whose checks are plain functions (CON-06)", async () => {
    await using governance = await clerk()
    await governance.contracts.registerCheck("small", async ({ input }) => (input as { usd: number }).usd < 10)
    await governance.contracts.registerCheck("broken", () => {
      throw new Error("no")
    })
    const pre = (name: string) => [{ check: "custom", message: "must be small", params: { name } }]
    await governance.contracts.register({ agentId: "clerk", tool: "refund", pre: pre("small") })
    assert.strictEqual(await governance.governed({ ...call, input: { usd: 5 } }, () => "ok"), "ok")
    assert.instanceOf(
      await rejected(governance.governed({ ...call, input: { usd: 50 } }, () => "ok")),
      ContractViolation
    )
    const inspected = { agentId: "clerk", tool: "refund", input: { usd: 50 } }
    assert.instanceOf(await rejected(governance.contracts.enforce(inspected, () => 1)), ContractViolation)
    await governance.contracts.register({ agentId: "clerk", tool: "refund", pre: pre("broken") })
    const error = await rejected(governance.contracts.checkPre(inspected))
    assert.instanceOf(error, ContractViolation)
    assert.strictEqual(error.problem, "threw")
  })

  it("throws, naming the flag, when a module that is off is touched (ENT-05, ENT-07)", async () => {
    const off = {
      scope: "enableScope",
      cost: "enableCost",
      loop: "enableLoop",
      presence: "enablePresence",
      gates: "enableGates",
      prompts: "enablePrompts",
      routing: "enableRouting",
      coverage: "enableCoverage"
    } as const
    for (const module of Object.keys(off) as ReadonlyArray<keyof typeof off>) {
      await using governance = await clerk({ [off[module]]: false })
      const touch = () => governance[module]
      assert.throws(touch, ModuleDisabledError)
      try {
        touch()
      } catch (error) {
        assert.include((error as ModuleDisabledError).recoveryHint, off[module])
      }
      if (module === "scope" || module === "cost") {
        assert.throws(() => governance.contracts, ModuleDisabledError)
      } else {
        assert.isObject(governance.contracts)
      }
      assert.isObject(governance.audit)
      // Looking at the object is not touching a module.
      assert.doesNotThrow(() => String(Object.keys(governance)))
    }
    await using quiet = await clerk({ enableAudit: false })
    assert.strictEqual((await quiet.audit.log({ kind: "k", agentId: "clerk" })).kind, "k")
  })

  it("keeps the options it was started with, frozen, without secrets (ENT-14)", async () => {
    const auditSecret = "Zx8!pQ2#vL9$wR4%tY7&uB1*nM5(kJ3)"
    await using governance = await clerk({ auditSecret, haltCacheTtl: "2 seconds", enableLoop: false })
    assert.strictEqual(governance.config.haltCacheTtl, 2000)
    assert.isFalse(governance.config.enableLoop)
    assert.strictEqual(governance.config.auditSecret, "<redacted>")
    assert.isNull(governance.config.databaseUrl)
    assert.isTrue(Object.isFrozen(governance.config))
    assert.notInclude(JSON.stringify(governance.config), auditSecret)
  })

  it("takes no calls after close, and twice closed is once (ENT-12, SYN-01)", async () => {
    const governance = await clerk()
    let ended = false
    const running = governance.governed(call, async () => {
      await sleep(50)
      ended = true
      return "done"
    })
    await sleep(5)
    const [first, second] = [governance.close(), governance.close()]
    assert.isTrue(governance.closed)
    assert.instanceOf(await rejected(governance.governed(call, () => 1)), GovernanceClosed)
    assert.instanceOf(await rejected(governance.cost.snapshot("clerk", null)), GovernanceClosed)
    assert.instanceOf(
      await rejected(
        (async () => {
          for await (const _ of governance.audit.tail()) assert.fail()
          throw await rejected(governance.audit.stats())
        })()
      ),
      GovernanceClosed
    )
    assert.strictEqual(await running, "done")
    assert.isTrue(ended)
    await Promise.all([first, second, governance.close()])
  })

  it("does not wait at close for a call that waits for a person (ENT-12, GAT-03)", async () => {
    const governance = await clerk()
    const waiting = rejected(
      governance.governed({ ...call, approval: { required: true } }, () => assert.fail("it ran"))
    )
    await sleep(20)
    const began = Date.now()
    await governance.close()
    assert.isBelow(Date.now() - began, 3000)
    const error = await waiting
    assert.instanceOf(error, GovernanceClosed)
    assert.strictEqual(error.problem, "closed")
  })

  it("gives up a call that does not end within 5 seconds of closing, and tells it so (ENT-12)", {
    timeout: 15_000
  }, async () => {
    const governance = await clerk()
    let reason: unknown
    const stuck = rejected(
      governance.governed(call, ({ signal }) => {
        signal.addEventListener("abort", () => {
          reason = signal.reason
        })
        return new Promise(() => {})
      })
    )
    await sleep(5)
    const began = Date.now()
    await governance.close()
    assert.isBelow(Date.now() - began, 8000)
    const error = await stuck
    assert.instanceOf(error, GovernanceClosed)
    assert.strictEqual(error.problem, "running")
    assert.instanceOf(reason, GovernanceClosed)
  })

  it("says what operators should know through `log`, else on stderr, and survives a log that throws (INV-1)", async () => {
    const said: Array<LogEntry> = []
    await using quiet = await Governance.memory({ enableLoop: false, log: (entry) => void said.push(entry) })
    assert.isTrue(quiet.closed === false && said.length > 0)
    const off = said.find(({ message }) => message === "loop.disabled")
    assert.strictEqual(off?.level, "warn")
    assert.property(off?.facts, "effect")
    assert.instanceOf(off?.at, Date)
    const broken = () => {
      throw new Error("the log is broken")
    }
    await using governance = await clerk({ enableLoop: false, log: broken })
    assert.strictEqual(await governance.governed(call, () => "ran"), "ran")
  })

  it("may be started many times in one process, with one listener for its end (SYN-01)", async () => {
    const before = process.listenerCount("beforeExit")
    const many = await Promise.all(Array.from({ length: 12 }, () => clerk({ log: () => {} })))
    assert.strictEqual(process.listenerCount("beforeExit"), before + 1)
    await Promise.all(many.map((one) => one.close()))
    assert.strictEqual(process.listenerCount("beforeExit"), before)
  })

  it("lets a governed reply come to its end while it closes, and never passes a cut one off as whole (ENT-12)", async () => {
    const governance = await clerk()
    const counting = (from: Governance, pause: number) =>
      from.governedStream(call, async function* () {
        for (let n = 1; n <= 5; n++) {
          await sleep(pause)
          yield n
        }
      })
    const read = async (parts: AsyncIterable<number>) => {
      const all: Array<number> = []
      for await (const part of parts) all.push(part)
      return all
    }
    const whole = read(counting(governance, 20))
    await sleep(30)
    await governance.close()
    assert.deepStrictEqual(await whole, [1, 2, 3, 4, 5])
    assert.instanceOf(await rejected(read(counting(governance, 1))), GovernanceClosed)

    const other = await clerk()
    const cut = rejected(read(counting(other, 4000)))
    await sleep(20)
    await other.close()
    const error = await cut
    assert.instanceOf(error, GovernanceClosed)
    assert.strictEqual(error.problem, "running")
  })

  it("starts once for the process, again after a failure or a close (SYN-02)", async () => {
    let starts = 0
    const shared = Governance.lazy(async () => {
      if (++starts === 1) throw new Error("not yet")
      return clerk()
    }, "test")
    assert.strictEqual(String(await rejected(shared())), "Error: not yet")
    const [one, two] = await Promise.all([shared(), shared()])
    assert.strictEqual(one, two)
    // As after a hot reload: the module is new, the process is not.
    const again = Governance.lazy(() => assert.fail("started twice"), "test")
    assert.strictEqual(await again(), one)
    await one.close()
    assert.notStrictEqual(await shared(), one)
    await (await shared()).close()
    assert.strictEqual(starts, 3)
  })

  it("rejects the start with the error of the configuration (ENT-04)", async () => {
    const error = await rejected(Governance.memory({ auditSecret: "short" }))
    assert.strictEqual(Reflect.get(error as object, "_tag"), "ConfigurationError")
    const none = await rejected(Governance.start({}))
    assert.strictEqual(Reflect.get(none as object, "setting"), "databaseUrl")
  })

  it("holds a budget for concurrent callers exactly (BEY-01)", async () => {
    await using governance = await clerk()
    await governance.cost.register({ agentId: "clerk", perAgentUsdDaily: 10 })
    let ran = 0
    const results = await Promise.allSettled(
      Array.from({ length: 64 }, (_, n) =>
        governance.governed({ ...call, sessionId: `s${n}`, maxUsd: 1 }, async () => {
          ran++
          await sleep(1)
        })
      )
    )
    assert.strictEqual(ran, 10)
    const refused = results.filter((result) => result.status === "rejected")
    assert.lengthOf(refused, 54)
    assert.isTrue(refused.every(({ reason }) => reason instanceof BudgetExceeded))
  })
})
