import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { migrate as run } from "../../../layers/postgres/Migrations.ts"
import * as RowSecurity from "../../../layers/postgres/RowSecurity.ts"
import { RoleName } from "../../../layers/postgres/SchemaName.ts"
import { counted, DoctorFindings } from "../../CliFailure.ts"
import { RuntimeRole, withOwner } from "../../Environment.ts"
import { answer } from "../../Output.ts"
import { schemaName } from "../../Place.ts"
import { platformTarget, tellWalls } from "../../PlatformPlace.ts"
import { governance } from "../../Root.ts"

/** Brings the platform's tables to this version. */
export const migrate = Command.make("migrate", {
  appRole: Flag.String("app-role").pipe(
    Flag.withMetavar("role"),
    Flag.withDescription("The role that `platform serve` connects as: it gets what it needs and nothing more"),
    Flag.optional
  )
}).pipe(
  Command.withDescription("Create or update the platform's tables. Run it as the owner of their schema."),
  Command.withExamples([
    {
      command: "governance platform migrate --database-url env:OWNER_URL --app-role platform_app",
      description: "With owner and runtime role apart, as it should be"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const flags = yield* governance
      const { name } = yield* RuntimeRole
      const appRole = Option.getOrElse(input.appRole, () => name)
      const target = platformTarget(flags, appRole)
      const applied = yield* run(target)
      const role = appRole === undefined ? undefined : RoleName.make(appRole)
      const findings = yield* RowSecurity.examine(yield* schemaName(target.schema), role)
      yield* tellWalls(findings)
      const failed = findings.filter(({ status }) => status === "fail").length
      if (failed > 0) return yield* new DoctorFindings({ failed, problem: "findings" })
      yield* answer({ schema: target.schema, applied }, () =>
        [
          ...applied.map((migration) => `applied ${migration}`),
          `Schema ${target.schema} is up to date: ${counted(applied.length, "migration")} applied.`
        ].join("\n")
      )
    }, withOwner)
  )
)
