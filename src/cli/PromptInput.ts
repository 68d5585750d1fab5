import { Effect } from "effect"
import { Argument } from "effect/cli"
import { PromptVersion } from "../schema/Prompt.ts"
import { terminalText } from "../schema/TerminalText.ts"
import { Prompts } from "../services/Prompts.ts"
import { UsageError } from "./CliFailure.ts"

export const prompt = Argument.String("name").pipe(Argument.withDescription("The prompt's name"))

export const version = Argument.String("version").pipe(
  Argument.withDescription("A version, or the first 8 or more of its hex digits")
)

/** The first digits that tables show: enough to tell versions apart, short enough to read. */
export const shortVersion = (version: string): string => version.slice(0, 16)

/** The one version of the prompt that begins with what was given. */
export const versionOf = Effect.fnUntraced(function* (name: string, given: string) {
  const { versions } = yield* (yield* Prompts).history(name)
  const found = /^[0-9a-f]{8,64}$/.test(given) ? versions.filter(({ version }) => version.startsWith(given)) : []
  const [only, ...more] = found
  if (only !== undefined && more.length === 0) return PromptVersion.make(only.version)
  return yield* new UsageError({
    subject: "The version",
    problem:
      more.length > 0 ? "is not the only one that begins so" : "is none of this prompt's, by 8 or more hex digits",
    todo: `\`governance prompts show ${terminalText(name, 100)}\` lists them.`
  })
})
