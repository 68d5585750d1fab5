import { Effect } from "effect"
import { Command } from "effect/cli"
import type { PromptSummary } from "../../schema/Prompt.ts"
import { Prompts } from "../../services/Prompts.ts"
import { withReader } from "../Environment.ts"
import { answer } from "../Output.ts"
import { shortVersion } from "../PromptInput.ts"
import { table } from "../Table.ts"
import { activate } from "./prompts/activate.ts"
import { add } from "./prompts/add.ts"
import { diff } from "./prompts/diff.ts"
import { rollback } from "./prompts/rollback.ts"
import { show } from "./prompts/show.ts"

const listAll = Effect.fnUntraced(function* () {
  const found = yield* (yield* Prompts).list
  yield* answer(found, (width) =>
    found.length === 0
      ? "No prompt is registered. `governance prompts add <name> <file>` registers one."
      : table(columns, found, width)
  )
}, withReader)

const columns = [
  { title: "PROMPT", keep: true, value: ({ name }: PromptSummary) => name },
  { title: "VERSIONS", right: true, value: ({ versions }: PromptSummary) => String(versions) },
  {
    title: "ACTIVE",
    keep: true,
    value: ({ active }: PromptSummary) => (active === null ? "none" : shortVersion(active))
  }
]

const list = Command.make("list").pipe(
  Command.withDescription("List the prompts and the version that is active of each."),
  Command.withExamples([{ command: "governance prompts list --json", description: "The same for a program" }]),
  Command.withHandler(listAll)
)

/** Prompt templates by version. Without a subcommand: the list. */
export const prompts = Command.make("prompts").pipe(
  Command.withDescription("Versions of prompt templates: register, activate, compare, go back."),
  Command.withExamples([
    { command: "governance prompts", description: "What is there, and what is active" },
    { command: "governance prompts add triage triage.md --activate", description: "A new version, in use at once" },
    { command: "governance prompts rollback triage", description: "Back to what was active before" }
  ]),
  Command.withHandler(listAll),
  Command.withSubcommands([list, show, add, activate, rollback, diff])
)
