import { Clock, Effect, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { SignIn } from "../../../../platform/SignIn.ts"
import { Email, MemberRole } from "../../../../schema/Workspace.ts"
import { WorkspaceStore } from "../../../../services/WorkspaceStore.ts"
import { NothingToDo, UsageError } from "../../../CliFailure.ts"
import { answer, notice } from "../../../Output.ts"
import { workspaceFlag, workspaceIdOf } from "../../../PlatformNames.ts"
import { withPlatform } from "../../../PlatformPlace.ts"

/** Makes somebody a member and prints a link for the first time; after that they ask for links themselves. */
export const invite = Command.make("invite", {
  email: Argument.String("email").pipe(Argument.withDescription("The address that links are sent to")),
  workspace: workspaceFlag,
  role: Flag.Literals("role", ["viewer", "approver", "admin"]).pipe(
    Flag.withDescription("viewer reads, approver decides too, admin manages"),
    Flag.withDefault("viewer")
  )
}).pipe(
  Command.withDescription("Invite somebody to a workspace, or give them another role."),
  Command.withExamples([
    { command: "governance platform user invite ann@example.com --role approver", description: "She may decide" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* (input) {
      const workspace = yield* workspaceIdOf(input.workspace)
      const email = yield* Effect.mapError(
        Schema.decodeEffect(Email)(input.email.toLowerCase()),
        () =>
          new UsageError({
            subject: "The address",
            problem: "is no mail address",
            todo: "It looks like ann@example.com."
          })
      )
      const store = yield* WorkspaceStore
      const role = MemberRole.make(input.role)
      const isMember = yield* store.putMember({ workspace, email, role }, yield* Clock.currentTimeMillis)
      if (!isMember) {
        return yield* new NothingToDo({
          what: `There is no workspace ${workspace}`,
          todo: "`governance platform workflow create` makes it."
        })
      }
      const link = yield* SignIn.use((signIn) => signIn.link(email))
      yield* answer({ workspace, email, role, link }, () => `${email} is ${role} of ${workspace}.\n${link ?? ""}`)
      yield* notice("The link works once, for 15 minutes. Give it to nobody else.")
    }, withPlatform)
  )
)
