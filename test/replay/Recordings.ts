import { Effect, Result, Stream } from "effect"
import { type ReplayOptions, replay } from "../../src/cli/replay/Replay.ts"
import type { PolicyInput, PolicyKind } from "../../src/schema/Policy.ts"
import { parsePolicyFile } from "../../src/schema/PolicyFileText.ts"
import type { ReplayedCall } from "../../src/schema/ReplayReport.ts"

type Policies = { readonly [K in PolicyKind]?: PolicyInput<K> }

/** Runs recorded lines, one session each, under a policy file. */
export const run = (
  lines: ReadonlyArray<unknown>,
  agents: Readonly<Record<string, Policies>>,
  options: Partial<ReplayOptions> = {}
) => {
  const text = JSON.stringify({ agents })
  const bytes = lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("")
  return replay(Stream.make(new TextEncoder().encode(bytes)), {
    name: "test.jsonl",
    policy: { text, entries: Result.getOrThrow(parsePolicyFile("policy.json", text, { wildcard: true })) },
    skipInvalid: false,
    onProgress: () => Effect.void,
    ...options
  })
}

export const user = (content: string, more: object = {}) => ({ role: "user", content, ...more })
export const says = (content: string, more: object = {}) => ({ role: "assistant", content, ...more })

/** An assistant's message with one tool call, and the tool's answer if there is one. */
export const calls = (name: string, args: unknown, answer?: string, more: object = {}) => [
  {
    role: "assistant",
    content: null,
    tool_calls: [
      { id: `call_${name}`, function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) } }
    ],
    ...more
  },
  ...(answer === undefined ? [] : [{ role: "tool", tool_call_id: `call_${name}`, content: answer }])
]

export const verdicts = (made: ReadonlyArray<ReplayedCall>, kind: ReplayedCall["kind"] = "tool") =>
  made.filter((call) => call.kind === kind).map((call) => `${call.name}: ${call.verdict}`)
