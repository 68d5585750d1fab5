import { assert, describe, it } from "@effect/vitest"
import * as GovernedRequests from "../../src/services/GovernedRequests.ts"

const host = "llm.example"
const isKnown = (name: string) => name !== "other.example"
const of = (requests: GovernedRequests.GovernedRequests, name = host) => {
  const { calls, governed, raw } = requests.tally().find((each) => each.host === name) ?? {
    calls: 0,
    governed: 0,
    raw: 0
  }
  return { governed, calls, raw }
}
const later = () => new Promise<void>((resolve) => setImmediate(resolve))

describe("Telling governed requests from raw ones (BEY-13)", () => {
  it("a request is governed inside send alone, before and after it is raw", async () => {
    const requests = GovernedRequests.make(isKnown)
    requests.seen(host)
    await requests.send(host, async () => {
      await later()
      requests.seen(host)
    })
    requests.seen(host)
    assert.deepStrictEqual(of(requests), { governed: 1, calls: 3, raw: 2 })
  })

  it("a redirect and a second attempt of the transport are the same call", async () => {
    const requests = GovernedRequests.make(isKnown)
    await requests.send(host, async () => {
      requests.seen(host)
      await later()
      requests.seen(host)
      requests.seen("eu.llm.example")
    })
    assert.deepStrictEqual(of(requests), { governed: 1, calls: 1, raw: 0 })
    assert.deepStrictEqual(of(requests, "eu.llm.example"), { governed: 0, calls: 0, raw: 0 })
  })

  it("a wrapped client inside a wrapped framework makes one call", async () => {
    const requests = GovernedRequests.make(isKnown)
    await requests.send(host, () => requests.send(host, async () => requests.seen(host)))
    assert.deepStrictEqual(of(requests), { governed: 1, calls: 1, raw: 0 })
    await requests.send(host, () => requests.send(host, later))
    assert.deepStrictEqual(of(requests), { governed: 2, calls: 2, raw: 0 })
  })

  it("what runs on in the context of an answered call is raw: it does not hide behind that call", async () => {
    const requests = GovernedRequests.make(isKnown)
    const late = Promise.withResolvers<void>()
    await requests.send(host, async () => {
      requests.seen(host)
      setImmediate(() => {
        requests.seen(host)
        late.resolve()
      })
    })
    await late.promise
    assert.deepStrictEqual(of(requests), { governed: 1, calls: 2, raw: 1 })
  })

  it("a transport with sockets of its own is governed all the same, and hides no raw call", async () => {
    const requests = GovernedRequests.make(isKnown)
    requests.seen(host)
    await requests.send(host, later)
    requests.seen(host)
    assert.deepStrictEqual(of(requests), { governed: 1, calls: 3, raw: 2 })
  })

  it("a request that begins where the context does not reach belongs to the call that is open meanwhile", async () => {
    const requests = GovernedRequests.make(isKnown)
    const open = Promise.withResolvers<void>()
    const sent = requests.send(host, () => open.promise)
    requests.seen(host)
    assert.deepStrictEqual(of(requests).raw, 0)
    open.resolve()
    await sent
    assert.deepStrictEqual(of(requests), { governed: 1, calls: 1, raw: 0 })
  })

  it("a call that fails before its request counts nothing, after it it counts", async () => {
    const requests = GovernedRequests.make(isKnown)
    const broken = new Error("broken")
    const failing = (send: () => Promise<void>) => requests.send(host, send).catch((error) => error)
    assert.strictEqual(await failing(() => Promise.reject(broken)), broken)
    assert.strictEqual(
      await failing(() => {
        throw broken
      }),
      broken
    )
    assert.deepStrictEqual(of(requests), { governed: 0, calls: 0, raw: 0 })
    await failing(async () => {
      requests.seen(host)
      throw broken
    })
    assert.deepStrictEqual(of(requests), { governed: 1, calls: 1, raw: 0 })
  })

  it("a wrapper that cannot enclose its request counts it, before or after it is seen", () => {
    const requests = GovernedRequests.make(isKnown)
    requests.governed(host)
    requests.seen(host)
    requests.seen(host)
    requests.governed(host)
    requests.seen(host)
    assert.deepStrictEqual(of(requests), { governed: 2, calls: 3, raw: 1 })
  })

  it("of other hosts nothing is counted", async () => {
    const requests = GovernedRequests.make(isKnown)
    assert.strictEqual(await requests.send("other.example", async () => 7), 7)
    requests.seen("other.example")
    requests.governed("other.example")
    assert.deepStrictEqual(requests.tally(), [])
  })

  it("two governances in one process do not take each other's requests for raw ones", async () => {
    const [ours, theirs] = [GovernedRequests.make(isKnown), GovernedRequests.make(isKnown)]
    await ours.send(host, async () => {
      theirs.seen(host)
      ours.seen(host)
    })
    assert.deepStrictEqual(
      [of(ours), of(theirs)],
      [
        { governed: 1, calls: 1, raw: 0 },
        { governed: 0, calls: 0, raw: 0 }
      ]
    )
  })

  it("counts only grow, whatever order things come in, and never more governed than all", () => {
    const requests = GovernedRequests.make(isKnown)
    let last = of(requests)
    for (let n = 0; n < 64; n++) {
      if ((n * 2654435761) % 3 === 0) requests.governed(host)
      else requests.seen(host)
      const now = of(requests)
      assert.isTrue(
        now.calls >= last.calls && now.governed >= last.governed && now.calls >= now.governed && now.raw >= 0
      )
      last = now
    }
  })

  it("names without end are counted one by one up to 256, then together", () => {
    const requests = GovernedRequests.make(isKnown)
    for (let i = 0; i < 1000; i++) requests.seen(`r${i}.openai.azure.com`)
    assert.lengthOf(requests.tally(), 257)
    assert.deepStrictEqual(of(requests, GovernedRequests.otherHosts), { governed: 0, calls: 744, raw: 744 })
  })
})
