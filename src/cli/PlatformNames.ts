import { Effect, Schema } from "effect"
import { Flag } from "effect/cli"
import { WorkspaceId } from "../schema/Workspace.ts"
import { UsageError } from "./CliFailure.ts"

/** Which tenant of the platform a command is about. */
export const workspaceFlag = Flag.String("workspace").pipe(
  Flag.withMetavar("id"),
  Flag.withDescription("The workspace: lower-case letters, digits and dashes"),
  Flag.withDefault("default")
)

export const workspaceIdOf = (text: string) =>
  Effect.mapError(
    Schema.decodeUnknownEffect(WorkspaceId)(text),
    () =>
      new UsageError({
        subject: "--workspace",
        problem: "is no id of a workspace",
        todo: "Use lower-case letters, digits and dashes, at most 63."
      })
  )
