import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Governance } from "../../src/promise/Governance.ts"

describe("the bridge below the Promise facade", () => {
  it("sends copies where it is switched on, and says so in stats (BRG-01, BRG-18)", async () => {
    const seen: Array<string> = []
    const server = createServer(async (request, response) => {
      let text = ""
      for await (const chunk of request) text += chunk
      seen.push(text)
      response.writeHead(202, { "content-type": "application/json" }).end("{}")
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    // A server that listens on a port has an address.
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      const platform = {
        bridgeEnabled: true,
        ingestUrl: `http://${host}/api/v1/ingest/events`,
        ingestToken: "wf_0123456789abcdef0123456789abcdef",
        trustedHosts: [host]
      }
      await using governance = await Governance.memory({ warnOnNoWrappers: false, platform, log: () => {} })
      await governance.audit.log({ kind: "order.paid", agentId: "clerk", sessionId: "s" })
      for (let i = 0; i < 100 && (await governance.platform.stats()).sent === 0; i++) {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      const { enabled, mode, sent } = await governance.platform.stats()
      assert.deepStrictEqual({ enabled, mode, sent: sent > 0 }, { enabled: true, mode: "queue", sent: true })
      assert.include(seen.join(), "order.paid")
    } finally {
      server.close()
    }
  })

  it("is off by default (BRG-01)", async () => {
    await using governance = await Governance.memory({ warnOnNoWrappers: false, log: () => {} })
    assert.strictEqual((await governance.platform.stats()).mode, "off")
  })
})
