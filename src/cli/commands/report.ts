import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { reportHtml } from "../../schema/ReportHtml.ts"
import { reportJson, reportMarkdown } from "../../schema/ReportText.ts"
import { terminalJson, terminalText } from "../../schema/TerminalText.ts"
import { Compliance, type Examined, type ReportRequest } from "../../services/Compliance.ts"
import { UsageError } from "../CliFailure.ts"
import { withReader, withServices } from "../Environment.ts"
import { evidenceFlags, evidenceRequest } from "../EvidenceFlags.ts"
import { concluded } from "../Judgement.ts"
import { writeNew } from "../NewFile.ts"
import { by, operator } from "../Operator.ts"
import { notice, print } from "../Output.ts"
import { governance } from "../Root.ts"
import { writeBundle } from "./export.ts"

const flags = {
  ...evidenceFlags,
  format: Flag.Literals("format", ["article12", "summary"]).pipe(
    Flag.withDescription("article12: seven sections; summary: three, about one agent"),
    Flag.withDefault("article12" as const)
  ),
  verify: Flag.Boolean("verify").pipe(
    Flag.withDescription("Verify the chains first; exit 1 when they were tampered with, 4 when they cannot be judged"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  output: Flag.Literals("output", ["md", "json", "html"]).pipe(
    Flag.withDescription("Markdown, canonical JSON or one HTML page. Default: as the file's name ends, else Markdown"),
    Flag.optional
  ),
  file: Flag.String("file").pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("path"),
    Flag.withDescription("Write to this new file; a name that ends in .zip gets the signed bundle"),
    Flag.optional
  ),
  by
}

/** A report under a name of its own, so that `compliance report` is the same command. */
const command = (examples: string) =>
  Command.make("report", flags).pipe(
    Command.withDescription("Report what the audit log shows. Evidence only: it never says that a law is met."),
    Command.withExamples([
      { command: `${examples} --verify -o report.md`, description: "Everything, with the chains verified" },
      { command: `${examples} --format summary --agent billing-agent`, description: "One agent" },
      {
        command: `${examples} --session order-4711 -o order-4711.zip`,
        description: "One session, as a signed bundle"
      }
    ]),
    Command.withHandler(
      Effect.fnUntraced(function* (input) {
        const request: ReportRequest = {
          ...(yield* evidenceRequest(input)),
          format: input.format,
          verifyChain: input.verify
        }
        if (input.format === "summary" && request.agentId === undefined) {
          return yield* new UsageError({
            subject: "--format summary",
            problem: "is about one agent",
            todo: "Give --agent ID."
          })
        }
        const path = Option.getOrUndefined(input.file)
        if (path?.toLowerCase().endsWith(".zip") === true) {
          return yield* withServices(
            Effect.flatMap(operator(input.by), (name) => writeBundle(path, { ...request, by: name }))
          )
        }
        yield* withReader(
          Effect.flatMap(examine(request), (found) =>
            tell(
              found,
              Option.getOrElse(input.output, () => kindOf(path)),
              path
            )
          )
        )
      })
    )
  )

export const report = command("governance report")
export const reportAlias = command("governance compliance report")

const kindOf = (path: string | undefined) =>
  /\.html?$/i.test(path ?? "") ? "html" : /\.json$/i.test(path ?? "") ? "json" : "md"

const examine = (request: ReportRequest) => Compliance.use((compliance) => compliance.examine(request))

const tell = Effect.fnUntraced(function* (
  { report: found, verification }: Examined,
  output: "md" | "json" | "html",
  path: string | undefined
) {
  const { json } = yield* governance
  const kind = json ? "json" : output
  if (path === undefined) {
    yield* kind === "json"
      ? print(terminalJson(found, 2))
      : kind === "md"
        ? print(reportMarkdown(found))
        : Console.log(reportHtml(found))
  } else {
    const text = kind === "json" ? reportJson(found) : kind === "md" ? reportMarkdown(found) : reportHtml(found)
    yield* writeNew(path, (put) => put(new TextEncoder().encode(text)))
    yield* notice(`Wrote ${terminalText(path)}, report ${found.reportId}.`)
  }
  if (verification !== null) yield* concluded(verification)
})
