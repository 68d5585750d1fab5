/** Kinds of secrets as they look, each made anew from a seed: no sample of this tree could ever open anything. */

export interface Kind {
  readonly name: string
  /** The text in which the secret travels, and the part of it that must not leave. */
  readonly make: (random: Random) => { readonly text: string; readonly secret: string }
}

export type Random = (alphabet: string, length: number) => string

const lower = "abcdefghijklmnopqrstuvwxyz"
const upper = lower.toUpperCase()
const digits = "0123456789"
const alnum = lower + upper + digits
const hex = `${digits}abcdef`
const base64 = `${alnum}+/`
const base64url = `${alnum}-_`

/** A small generator: the same seed gives the same secrets. */
export const randomOf = (seed: number): Random => {
  let state = seed >>> 0 || 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 4_294_967_296
  }
  return (alphabet, length) =>
    Array.from({ length }, () => alphabet.charAt(Math.floor(next() * alphabet.length))).join("")
}

const shaped = (name: string, prefix: string, alphabet: string, length: number, suffix = ""): Kind => ({
  name,
  make: (random) => {
    const secret = random(alphabet, length)
    return { text: `${prefix}${secret}${suffix}`, secret }
  }
})

/** A password as people make them: a word, digits, a sign. */
const password = (random: Random) => `${random(lower, 1).toUpperCase()}${random(lower, 6)}${random(digits, 3)}!`
const said = (name: string, text: (secret: string) => string, make: (random: Random) => string = password): Kind => ({
  name,
  make: (random) => {
    const secret = make(random)
    return { text: text(secret), secret }
  }
})
const scheme = (name: string) => `${name}:/`.concat("/")
const dsn = (name: string, place: string) => said(`a ${name} DSN`, (secret) => `${scheme(name)}app:${secret}${place}`)
const uuid = (random: Random) => [8, 4, 4, 4, 12].map((length) => random(hex, length)).join("-")

export const kinds: ReadonlyArray<Kind> = [
  dsn("postgres", "@db.internal:5432/app"),
  dsn("postgresql", "@10.0.0.7/app?sslmode=require"),
  dsn("mysql", "@db:3306/app"),
  dsn("mongodb", "@db:27017/app"),
  dsn("mongodb+srv", "@cluster0.example.net/app"),
  dsn("redis", "@cache:6379/0"),
  dsn("rediss", "@cache:6380"),
  dsn("amqp", "@queue/vhost"),
  said("a DSN without a user", (secret) => `${scheme("redis")}:${secret}@cache:6379`),
  said("a password in any URL", (secret) => `${scheme("https")}bot:${secret}@git.example.com/a.git`),
  said(
    "a token as the user of a URL",
    (secret) => `${scheme("https")}${secret}@git.example.com/a.git`,
    (random) => random(alnum, 20)
  ),
  said(
    "a secret parameter of a URL",
    (secret) => `${scheme("https")}example.com/a?page=2&access_token=${secret}&b=1`,
    (random) => random(alnum, 16)
  ),
  said(
    "a signed URL",
    (secret) => `${scheme("https")}a.blob.example.net/c?sv=2026-01-01&sig=${secret}`,
    (random) => random(alnum, 43)
  ),
  said("a DSN in parameters", (secret) => `${scheme("postgresql")}db/app?user=a&password=${secret}`),
  shaped("a bearer token", "Authorization: Bearer ", alnum, 32),
  said(
    "basic credentials",
    (secret) => `Authorization: Basic ${secret}`,
    (random) => btoa(`bob:${password(random)}`)
  ),
  said(
    "an API key header",
    (secret) => `x-api-key: ${secret}`,
    (random) => random(alnum, 24)
  ),
  said(
    "a cookie header",
    (secret) => `Cookie: theme=dark; sid=${secret}`,
    (random) => random(alnum, 24)
  ),
  shaped("an Anthropic key", `sk-${"ant"}-api03-`, base64url, 93, "AA"),
  shaped("an OpenAI key", "sk-", alnum, 48),
  shaped("an OpenAI project key", "sk-proj-", base64url, 120),
  shaped("a Slack bot token", "xoxb-", digits, 12, "-1234567890-abcdefABCDEF"),
  shaped("a Slack app token", "xapp-1-", upper + digits, 11, "-1234567890-abcdef"),
  said(
    "a Slack webhook",
    (secret) => `${scheme("https")}hooks.slack.com/services/${secret}`,
    (random) => `T${random(upper, 8)}/B${random(upper, 8)}/${random(alnum, 24)}`
  ),
  shaped("a GitHub token", "ghp_", alnum, 36),
  shaped("a GitHub server token", "ghs_", alnum, 36),
  shaped("a fine-grained GitHub token", "github_pat_", `${alnum}_`, 82),
  shaped("a GitLab token", "glpat-", base64url, 20),
  shaped("an npm token", "npm_", alnum, 36),
  shaped("a PyPI token", "pypi-AgEIcHlwaS5vcmc", base64url, 60),
  shaped("an AWS key id", "AKIA", `${upper}234567`, 16),
  said(
    "an AWS secret key",
    (secret) => `aws_secret_access_key = ${secret}`,
    (random) => random(base64, 40)
  ),
  shaped("a Google API key", "AIza", base64url, 35),
  shaped("a Google OAuth token", "ya29.", base64url, 60),
  said(
    "an Azure storage key",
    (secret) => `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${secret}==;EndpointSuffix=x`,
    (random) => random(base64, 86)
  ),
  shaped("a Stripe key", "sk_live_", alnum, 24),
  shaped("a webhook secret", "whsec_", base64, 32),
  shaped("a SendGrid key", "SG.", base64url, 22, `.${"b".repeat(43)}`),
  shaped("a Hugging Face token", "hf_7", alnum, 33),
  shaped("a Vault token", "hvs.7", alnum, 30),
  shaped("a Databricks token", "dapi", hex, 32),
  shaped("a Telegram bot token", "123456789:", base64url, 35),
  shaped("an age key", "AGE-SECRET-KEY-1", upper + digits, 58),
  said(
    "a JSON web token",
    (secret) => secret,
    (random) => {
      const part = (value: unknown) => btoa(JSON.stringify(value)).replace(/=+$/, "")
      return `${part({ alg: "HS256" })}.${part({ sub: random(alnum, 12) })}.${random(base64url, 43)}`
    }
  ),
  said(
    "a private key",
    (secret) => `-----BEGIN PRIVATE${" KEY"}-----\n${secret}\n-----END PRIVATE${" KEY"}-----`,
    (random) => `${random(base64, 64)}\n${random(base64, 58)}==`
  ),
  said(
    "an SSH key",
    (secret) => `-----BEGIN OPENSSH PRIVATE${" KEY"}-----\n${secret}\n-----END OPENSSH PRIVATE${" KEY"}-----`,
    (random) => random(base64, 70)
  ),
  shaped("an ingest token", "wf_", alnum, 24),
  said(
    "an approval token",
    (secret) => secret,
    (random) => `v2:${random(hex, 16)}:${uuid(random)}:${random(hex, 64)}:2027-01-15T08:00:00.000Z:${random(hex, 64)}`
  ),
  said(
    "an approval token of version 1",
    (secret) => secret,
    (random) => `${uuid(random)}:${random(hex, 64)}:2027-01-15T08:00:00.000Z:${random(hex, 64)}`
  ),
  shaped("a key in hex", "", hex, 64),
  shaped("a key in base64", "", base64, 44),
  shaped("a random word", "", alnum, 32),
  said("an environment variable", (secret) => `export DB_PASSWORD=${secret}`),
  said("a password in JSON", (secret) => `{"user":"bob","password":"${secret}"}`),
  said("a password in YAML", (secret) => `user: bob\npassword: ${secret}\n`),
  said("a password in XML", (secret) => `<user>bob</user><password>${secret}</password>`),
  said("a password on a command line", (secret) => `login --user bob --password ${secret} --verbose`),
  said("a password in a sentence", (secret) => `and my password is ${secret}, please`),
  said("a password in a camel-cased name", (secret) => `dbPassword = "${secret}"`),
  said(
    "a hash of a password",
    (secret) => secret,
    (random) => `$2b$12$${random(`${alnum}./`, 53)}`
  ),
  said(
    "a pin",
    (secret) => `pin: ${secret}`,
    (random) => random(digits, 8)
  )
]

const utf8 = (text: string) => String.fromCharCode(...new TextEncoder().encode(text))
const toHex = (text: string) => Array.from(text, (unit) => unit.charCodeAt(0).toString(16).padStart(2, "0")).join("")

/** The forms in which a text travels; those of `leaks`. */
export const encodings: ReadonlyArray<readonly [name: string, encode: (text: string) => string]> = [
  ["plain text", (text) => text],
  ["JSON text", (text) => JSON.stringify(text)],
  ["escaped JSON text", (text) => JSON.stringify(JSON.stringify({ text }))],
  ["URL text", (text) => encodeURIComponent(text)],
  ["hexadecimal", (text) => toHex(utf8(text))],
  ["UTF-16", (text) => Array.from(text, (unit) => `${unit}\u0000`).join("")],
  ["Base64", (text) => btoa(utf8(text))],
  ["Base64Url", (text) => btoa(utf8(text)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")]
]
