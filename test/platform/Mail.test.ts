import { createServer } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Mailer } from "../../src/platform/Mailer.ts"
import * as SmtpMailer from "../../src/platform/SmtpMailer.ts"
import { Email } from "../../src/schema/Workspace.ts"

/** Speaks as much SMTP as a mail needs, on loopback; `refuse` answers the recipient with that. */
const mailServer = (refuse?: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly heard: Array<string>; readonly close: () => void }>((resume) => {
      const heard: Array<string> = []
      const server = createServer((socket) => {
        let data = false
        socket.write("220 test\r\n")
        socket.on("data", (part) => {
          for (const line of part.toString("utf8").split("\r\n").slice(0, -1)) {
            heard.push(line)
            if (data) {
              if (line !== ".") continue
              data = false
              socket.write("250 ok\r\n")
            } else if (line === "DATA") {
              data = true
              socket.write("354 go on\r\n")
            } else if (line.startsWith("RCPT") && refuse !== undefined) socket.write(`${refuse}\r\n`)
            else socket.write(line.startsWith("QUIT") ? "221 bye\r\n" : "250 ok\r\n")
          }
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ port, heard, close: () => server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const mail = { to: Email.make("ann@example.org"), subject: "Sign in", text: "https://x.example/app/sign-in#ml_1" }
const sendThrough = (port: number) =>
  Mailer.use((mailer) => mailer.send(mail)).pipe(
    Effect.provide(
      SmtpMailer.layer({
        url: Redacted.make(`smtp://127.0.0.1:${port}?ignoreTLS=true`),
        from: "platform@example.org"
      }).pipe(Layer.orDie)
    )
  )

describe("Mail", () => {
  it.live("goes through a mail server with its link, to one person (PLT-01)", () =>
    Effect.gen(function* () {
      const { heard, port } = yield* mailServer()
      yield* sendThrough(port)
      assert.include(heard, "RCPT TO:<ann@example.org>")
      assert.include(heard, "Subject: Sign in")
      assert.isTrue(heard.some((line) => line.includes("/app/sign-in#ml_1")))
    })
  )

  it.live("that is refused fails without naming address, server or text (ERR-16)", () =>
    Effect.gen(function* () {
      const { port } = yield* mailServer("550 no such person ann@example.org")
      const error = yield* Effect.flip(sendThrough(port))
      assert.strictEqual(error._tag, "MailFailed")
      assert.notInclude(JSON.stringify(error) + error.message, "example.org")
    })
  )
})
