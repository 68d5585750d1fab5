import { Console, Context, type Effect, Layer, Schema } from "effect"
import type { Email } from "../schema/Workspace.ts"

export interface Mail {
  readonly to: Email
  readonly subject: string
  readonly text: string
}

/** A mail was not taken by the mail server. Names neither the address nor the server. */
export class MailFailed extends Schema.TaggedError<MailFailed>()("MailFailed", { problem: Schema.String }) {
  override get message() {
    return `A mail could not be sent: ${this.problem}`
  }
  get recoveryHint() {
    return "Check GOVERNANCE_PLATFORM_SMTP_URL and that the mail server takes mail from here."
  }
}

/** Sends mails to people. */
export class Mailer extends Context.Service<
  Mailer,
  { readonly send: (mail: Mail) => Effect.Effect<void, MailFailed> }
>()("effect-governance/platform/Mailer") {}

/** Prints mails instead of sending them: for development, where whoever reads the terminal is who signs in. */
export const layerPrinted = Layer.succeed(
  Mailer,
  Mailer.of({ send: ({ subject, text, to }) => Console.error(`mail to ${to}: ${subject}\n${text}`) })
)
