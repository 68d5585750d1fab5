import { createServer } from "node:http"
import { Effect } from "effect"
import { Webhook } from "standardwebhooks"
import type { GovernanceOptions } from "../../src/services/Settings.ts"
import { listening } from "./Listening.ts"

const secret = `whsec_${Buffer.from("0123456789abcdefghijklmn").toString("base64")}`

/** A receiver of budget alerts on loopback that verifies what it is sent, the policy that names it and the options that allow it. */
export const receiver = Effect.gen(function* () {
  const heard: Array<{ readonly agent_id: string; readonly cap_id: string }> = []
  const port = yield* listening(
    createServer((request, response) => {
      let body = ""
      request.setEncoding("utf8").on("data", (chunk) => {
        body += chunk
      })
      request.on("end", () => {
        const headers = Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name, String(value)])
        )
        heard.push(new Webhook(secret).verify(body, headers) as (typeof heard)[number])
        response.end()
      })
    })
  )
  const options: GovernanceOptions = {
    testMode: true,
    warnOnNoWrappers: false,
    costWebhooksEnabled: true,
    egress: { trustedHosts: [`localhost:${port}`] }
  }
  const budget = {
    perAgentUsdDaily: 100,
    alertWebhookUrl: `http://localhost:${port}/hook`,
    alertWebhookSecret: "env://GOVERNANCE_ALERT_OPS"
  }
  return { heard, options, budget }
})

/** Where processes find the secret that the policy names. */
export const env = { GOVERNANCE_ALERT_OPS: secret }
