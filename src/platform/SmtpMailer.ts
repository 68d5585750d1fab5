import { Effect, Layer, Redacted } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { Mailer, MailFailed } from "./Mailer.ts"

export interface SmtpOptions {
  /** `smtps://user:password@host:465` or `smtp://host:25`. */
  readonly url: Redacted.Redacted<string>
  readonly from: string
}

/** Mails through an SMTP server, with the optional package `nodemailer`. Without the package the layer fails (BRG-04). */
export const layer = ({ from, url }: SmtpOptions) =>
  Layer.effect(
    Mailer,
    Effect.gen(function* () {
      const nodemailer = yield* Effect.tryPromise({
        try: () => import("nodemailer"),
        catch: () => new ConfigurationError({ setting: "GOVERNANCE_PLATFORM_SMTP_URL", problem: missing })
      })
      const transport = yield* Effect.acquireRelease(
        Effect.sync(() =>
          nodemailer.createTransport({
            url: Redacted.value(url),
            connectionTimeout: 10_000,
            socketTimeout: 20_000,
            disableFileAccess: true,
            disableUrlAccess: true
          })
        ),
        (made) => Effect.sync(() => made.close())
      )
      return Mailer.of({
        send: ({ subject, text, to }) =>
          Effect.tryPromise({
            try: () => transport.sendMail({ from, to, subject, text }),
            catch: (error) => new MailFailed({ problem: codeOf(error) })
          })
      })
    })
  )

const missing = "needs the package nodemailer: npm install nodemailer"

// What a mail server says may repeat addresses and passwords; its code does not.
const codeOf = (error: unknown): string => {
  const code: unknown = typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined
  return typeof code === "string" && /^[A-Z_]{2,32}$/.test(code) ? code : "the mail server refused it"
}
