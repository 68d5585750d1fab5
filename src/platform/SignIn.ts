import { Clock, Context, Duration, Effect, Layer, Redacted } from "effect"
import type { StoreError } from "../schema/StoreError.ts"
import type { Email } from "../schema/Workspace.ts"
import { SignInStore } from "../services/SignInStore.ts"
import { Mailer } from "./Mailer.ts"
import { PlatformSettings } from "./PlatformSettings.ts"
import { digestOf, newSecret } from "./WorkflowToken.ts"

/** How long a link is good (OQ-28), and a session (ATH-02). */
const linkLife = Duration.minutes(15)
const sessionLife = Duration.hours(8)

/** Signs people in by a link in their mail, once; there are no passwords (PLT-01). */
export class SignIn extends Context.Service<
  SignIn,
  {
    /** Sends a link to a member; for anybody else nothing happens, and nobody can tell the difference (ATH-05). */
    readonly ask: (email: Email) => Effect.Effect<void, StoreError>
    /** A link to hand over in person: for the operator of the platform, where no mail is sent. Null for nobody's address. */
    readonly link: (email: Email) => Effect.Effect<string | null, StoreError>
    /** Uses a link up. Null for one that was used, is too old, or never was. */
    readonly redeem: (
      token: Redacted.Redacted<string>
    ) => Effect.Effect<
      { readonly email: Email; readonly session: Redacted.Redacted<string>; readonly expiresMs: number } | null,
      StoreError
    >
    readonly whose: (session: Redacted.Redacted<string>) => Effect.Effect<Email | null, StoreError>
    readonly end: (session: Redacted.Redacted<string>) => Effect.Effect<void, StoreError>
    readonly endAll: (email: Email) => Effect.Effect<number, StoreError>
  }
>()("effect-governance/platform/SignIn") {}

export const make = Effect.gen(function* () {
  const store = yield* SignInStore
  const mailer = yield* Mailer
  const { publicUrl } = yield* PlatformSettings
  const scope = yield* Effect.scope

  const issue = Effect.fnUntraced(function* (email: Email) {
    const nowMs = yield* Clock.currentTimeMillis
    const secret = yield* newSecret("ml_")
    const expiresMs = nowMs + Duration.toMillis(linkLife)
    const known = yield* store.issue({ digest: digestOf(secret), email, expiresMs, nowMs })
    // Behind the hash: what stands there reaches no server's log and no referrer.
    return known ? `${publicUrl}/app/sign-in#${Redacted.value(secret)}` : null
  })

  return SignIn.of({
    ask: Effect.fn("SignIn.ask")(function* (email) {
      const link = yield* issue(email)
      if (link === null) return
      // Whoever waits for the answer must not learn from its time that a mail went out.
      yield* Effect.forkIn(
        Effect.catchTag(mailer.send({ to: email, ...letter(link) }), "MailFailed", (error) =>
          Effect.logError(error.message)
        ),
        scope
      )
    }),
    link: Effect.fn("SignIn.link")(issue),
    redeem: Effect.fn("SignIn.redeem")(function* (token) {
      const nowMs = yield* Clock.currentTimeMillis
      const session = yield* newSecret("ss_")
      const expiresMs = nowMs + Duration.toMillis(sessionLife)
      const email = yield* store.redeem(digestOf(token), { digest: digestOf(session), expiresMs }, nowMs)
      return email === null ? null : { email, session, expiresMs }
    }),
    whose: Effect.fnUntraced(function* (session) {
      return yield* store.session(digestOf(session), yield* Clock.currentTimeMillis)
    }),
    end: (session) => Effect.asVoid(store.end(digestOf(session))),
    endAll: (email) => store.endAll(email)
  })
})

export const layer = Layer.effect(SignIn, make)

const letter = (link: string) => ({
  subject: "Sign in to your governance platform",
  text: `Open this link to sign in. It works once, for 15 minutes:

${link}

If you did not ask for it, do nothing: nobody can sign in without it.
`
})
