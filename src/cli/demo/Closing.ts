import { Effect } from "effect"
import { Screen } from "./Screen.ts"

/** What a person who has seen the demo can do with their own agents. Every command here exists. */
export const closing = Effect.gen(function* () {
  const screen = yield* Screen
  yield* screen.heading("What to try next")
  for (const [what, ...commands] of fromSource ? [inCheckout, ...anywhere] : [installed, ...anywhere]) {
    yield* screen.line(`  ${what}`)
    for (const command of commands)
      yield* screen.line(`    ${fromSource ? "npm run governance --" : "governance"} ${command}`)
  }
  yield* screen.line("  Put it around an agent of your own: README.md shows how.")
})

// From a checkout the program is not installed, and the examples are there.
const fromSource = import.meta.url.endsWith(".ts")

const inCheckout = [
  "What would a policy have stopped in these very sessions?",
  "replay examples/sessions.jsonl --policy examples/policy.json"
]
const installed = ["What would a policy have stopped in sessions that you recorded?", "replay --help"]
const anywhere = [
  [
    "Begin a log of your own, with a database in ./.governance, and check it:",
    "emit first.event --agent my-agent",
    "verify"
  ],
  ["Stop an agent everywhere, and let it go on:", 'halt my-agent --reason "let me look at this"', "resume my-agent"],
  ["See what waits for a person, and decide it:", "approvals", "grant --help"],
  [
    "Write down what the log shows, so that a stranger can check it:",
    "export -o evidence.zip",
    "verify-bundle evidence.zip"
  ],
  ["Sign checkpoints, so that nobody can cut the log unnoticed:", "checkpoint --help"],
  ["Use a PostgreSQL of your own:", "migrate --database-url env:DATABASE_URL"]
]
