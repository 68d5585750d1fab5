import { homedir } from "node:os"
import { relative } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, FileSystem, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { terminalText } from "../../schema/TerminalText.ts"
import { UsageError } from "../CliFailure.ts"
import { answer } from "../Output.ts"
import { projectFiles } from "../recipe/ProjectFiles.ts"
import { isBad, targetOf } from "../recipe/ProjectTarget.ts"
import { writeProject } from "../recipe/ProjectWriter.ts"
import { recipeFiles, recipeOf, recipes } from "../recipe/Recipes.ts"

/** Writes a starter project (RCP-01 to RCP-07). It touches no database and changes nothing but the new directory. */
export const recipe = Command.make("recipe", {
  name: Argument.String("name").pipe(Argument.withDescription("Which recipe; --list shows them"), Argument.optional),
  path: Argument.String("path").pipe(
    Argument.withDescription("The directory to make; the one above it must be there"),
    Argument.optional
  ),
  force: Flag.Boolean("force").pipe(
    Flag.withDescription("Move a directory of that name out of the way; it is renamed, never emptied"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  list: Flag.Boolean("list").pipe(
    Flag.withDescription("Show what there is"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  )
}).pipe(
  Command.withDescription(
    "Write a starter project: an agent whose refunds pass scope, budget and, from 1000 dollars on, a person.\n  Needs no database."
  ),
  Command.withShortDescription("Write a starter project: an agent whose refunds are governed."),
  Command.withExamples([
    { command: "governance recipe --list", description: "What there is" },
    { command: "governance recipe agt refunds", description: "A project in ./refunds" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* ({ force, list, name, path }) {
      if (list)
        return yield* answer({ recipes }, () => recipes.map((one) => `${one.name.padEnd(14)}${one.summary}`).join("\n"))
      if (Option.isNone(name) || Option.isNone(path)) {
        return yield* wrong("The command", "needs a recipe and a path", "`governance recipe --list` shows the recipes.")
      }
      const found = recipeOf(name.value)
      if (found === undefined) {
        return yield* wrong("The recipe", "is not known", `There are: ${recipes.map((one) => one.name).join(", ")}.`)
      }
      const target = targetOf(path.value, process.cwd(), homedir())
      if (isBad(target)) return yield* wrong("The path", target.problem, target.todo)
      const files = yield* FileSystem.FileSystem
      const version = yield* Effect.map(files.readFileString(inPackage("package.json")), versionOf)
      const template = (file: string) => files.readFileString(inPackage(`recipes/${found.name}/${file}`))
      const written = yield* projectFiles(target.name, version, template)
      const aside = yield* writeProject(target, written, { force, home: homedir() })
      const directory = relative(process.cwd(), target.path)
      yield* answer({ recipe: found.name, directory: target.path, files: recipeFiles, movedAside: aside ?? null }, () =>
        [
          `Wrote ${terminalText(directory)}: ${recipeFiles.join(", ")}`,
          ...(aside === undefined ? [] : [`What was there is now ${terminalText(aside)}, beside it.`]),
          `Next: cd ${terminalText(directory)} && npm install && npm test`
        ].join("\n")
      )
    })
  )
)

const inPackage = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

const versionOf = (manifest: string) =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({ version: Schema.String })))(manifest).version

const wrong = (subject: string, problem: string, todo: string) => new UsageError({ subject, problem, todo })
