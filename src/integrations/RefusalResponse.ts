/**
 * A refusal as a response: 403, not to be tried again. For SDKs that take what is thrown in `fetch` for a broken network. The
 * error itself stays in the process: `refusalOf` finds it again.
 */
export const refusalResponse = (error: unknown): Response => {
  const facts = typeof error === "object" && error !== null ? error : {}
  const code = "_tag" in facts ? String(facts._tag) : "GovernanceError"
  const message = "message" in facts ? String(facts.message) : "refused by governance"
  const response = new Response(JSON.stringify({ error: { type: "governance", code, message } }), {
    status: 403,
    headers: { "content-type": "application/json", "x-should-retry": "false", "x-governance-error": code }
  })
  errors.set(response.headers, error)
  return response
}

/** The error of a refusal, by the headers of its response, which SDKs keep. */
export const refusalOf = (headers: Headers): unknown => errors.get(headers)

const errors = new WeakMap<Headers, unknown>()
