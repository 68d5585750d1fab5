import { Effect } from "effect"
import { Command } from "effect/cli"
import type { Finding } from "../../schema/Finding.ts"
import { terminalText } from "../../schema/TerminalText.ts"
import { counted, DoctorFindings } from "../CliFailure.ts"
import { Environment } from "../Environment.ts"
import { exitCodeOf, exitCodes } from "../ExitCode.ts"
import { answer } from "../Output.ts"
import { governance } from "../Root.ts"

/** Looks at everything that can be looked at, and says what to do about it. Exit 1 when something has to be repaired. */
export const doctor = Command.make("doctor").pipe(
  Command.withDescription(
    "Check configuration, database, migrations, protection of the log, durability, clock and leftovers."
  ),
  Command.withExamples([
    { command: "governance doctor", description: "After an installation, and whenever something is odd" },
    {
      command: "governance doctor --json | jq '.findings[] | select(.status != \"ok\")'",
      description: "For monitoring"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* () {
      const environment = yield* Environment
      const { findings, stoppedBy } = yield* environment.examine(yield* governance)
      const failed = findings.filter(({ status }) => status === "fail").length
      const warned = findings.filter(({ status }) => status === "warn").length
      const summary = `${counted(findings.length, "check")}: ${failed} failed, ${counted(warned, "warning")}`
      yield* answer({ ok: failed === 0 && stoppedBy === null, findings }, () =>
        [...findings.map(line), "", summary].join("\n")
      )
      if (failed === 0 && stoppedBy === null) return
      const problem =
        stoppedBy === null
          ? "findings"
          : exitCodeOf(stoppedBy) === exitCodes.unreachable
            ? "unreachable"
            : "configuration"
      return yield* new DoctorFindings({ failed, problem })
    })
  )
)

const line = ({ check, hint, message, status }: Finding): string => {
  const head = `${marks[status]}  ${terminalText(check).padEnd(20)}  ${terminalText(message)}`
  return hint === "" ? head : `${head}\n${" ".repeat(28)}${terminalText(hint)}`
}

const marks = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const
