import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { plan as planOf, migrate as run } from "../../layers/postgres/Migrations.ts"
import { counted } from "../CliFailure.ts"
import { RuntimeRole, withOwner } from "../Environment.ts"
import { answer, notice } from "../Output.ts"
import { governance } from "../Root.ts"

/** Brings the schema to this version. Any number may run at once, and again. */
export const migrate = Command.make("migrate", {
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Print the SQL that is missing, change nothing"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  appRole: Flag.String("app-role").pipe(
    Flag.withMetavar("role"),
    Flag.withDescription("The role that your programs connect as: it gets what they need and nothing more"),
    Flag.optional
  )
}).pipe(
  Command.withDescription("Create or update the governance tables. Run it as the owner of the schema."),
  Command.withExamples([
    {
      command: "governance migrate --database-url env:OWNER_URL --app-role my_app",
      description: "With owner and runtime role apart, as it should be"
    },
    { command: "governance migrate --dry-run > missing.sql", description: "See the SQL first" },
    { command: "governance migrate --schema governance", description: "In a schema of its own" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const { schema } = yield* governance
      const { name } = yield* RuntimeRole
      const options = { schema, appRole: Option.getOrElse(input.appRole, () => name) }
      if (input.dryRun) return yield* dryRun(options)
      const applied = yield* run(options)
      yield* answer({ schema, applied }, () =>
        applied.length === 0
          ? `Schema ${schema} is up to date.`
          : [
              ...applied.map((migration) => `applied ${migration}`),
              `Schema ${schema} is up to date: ${counted(applied.length, "migration")} applied.`
            ].join("\n")
      )
      if (options.appRole === undefined) {
        yield* notice(
          "No runtime role was given rights: programs that connect as this same role could switch the protection off. See --app-role."
        )
      }
    }, withOwner)
  )
)

/** The SQL itself, as it would run: from the files of this package, so there is nothing of anybody else's to make safe. */
const dryRun = Effect.fnUntraced(function* (options: {
  readonly schema: string
  readonly appRole: string | undefined
}) {
  const { json } = yield* governance
  const plan = yield* planOf(options)
  if (json) return yield* answer(plan, () => "")
  for (const { name, sql } of plan.pending) yield* Console.log(`-- ${name}\n${sql}`)
  yield* notice(
    plan.pending.length === 0
      ? `Schema ${plan.schema} is up to date: nothing would run.`
      : `${counted(plan.pending.length, "migration")} would run on schema ${plan.schema}; nothing was changed.`
  )
})
