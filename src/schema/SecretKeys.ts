import { foldText } from "./FoldedText.ts"

/** What a name says of its value. `all`: whatever it is, it is secret. `text`: text is, plain counts are not. */
export type KeyVerdict = "all" | "text" | "none"

/** Judges names of members, fields and variables. `extraKeys` are those of the configuration (CFG-25). */
export const makeKeyJudge = (extraKeys: Iterable<string> = []): ((key: string) => KeyVerdict) => {
  const extra = [...extraKeys].map((key) => wordsOf(key).join("")).filter((key) => key !== "")
  const known = new Map<string, KeyVerdict>()
  return (key) => {
    const hit = known.get(key)
    if (hit !== undefined) return hit
    const verdict = judge(wordsOf(key), extra)
    if (known.size >= maxKnown) known.clear()
    if (key.length <= maxKeyLength) known.set(key, verdict)
    return verdict
  }
}

/** `X-Api-Key`, `xApiKey`, `x_api_key` and `ｘ－ａｐｉ－ｋｅｙ` are all `x`, `api`, `key` (C-17). */
export const wordsOf = (key: string): ReadonlyArray<string> =>
  foldText(key.slice(-maxKeyLength).replace(unseen, ""))
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "")

const judge = (words: ReadonlyArray<string>, extra: ReadonlyArray<string>): KeyVerdict => {
  const joined = words.join("")
  if (extra.some((key) => joined === key || words.includes(key) || (key.length > 3 && joined.endsWith(key))))
    return "all"
  const last = words.at(-1) ?? ""
  if (aboutSecrets.has(last)) return "none"
  if (words.some((word) => secretWords.has(word)) || secretNames.test(joined)) return "all"
  if (last === "tokens" && words.some((word) => countWords.has(word))) return "none"
  return words.some((word) => textWords.has(word)) || secretEnds.test(joined) ? "text" : "none"
}

/** Longer names are judged by their end, where the noun stands. */
const maxKeyLength = 256
const maxKnown = 4_096

const unseen = /[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]|[\ufe00-\ufe0f]/g

const set = (words: string): ReadonlySet<string> => new Set(words.split(" "))

/** The value says something about a secret and is none: `token_type`, `passwordChangedAt`, `secret_version`. */
const aboutSecrets = set(
  "count counts length type types policy expires expiry expiration at ttl limit limits budget usage required enabled id ids version versions name names algorithm rotation strength min max used remaining total"
)

const secretWords = set(
  "password passwords passwd passwort pwd passphrase passcode secret secrets apikey apikeys credential credentials creds authorization cookie cookies dsn jwt otp totp pin cvv cvc cvv2 ssn mnemonic bearer token kennwort contraseña pgpassword"
)

/** In one word, as some write them, or as neighbours: `dbPassword`, `accessKey`, `connection_string`. */
const secretNames =
  /password|passwd|passphrase|secret(?!ar)|api(?:key|token)|(?:access|private|signing|encryption|decryption|master|account|auth|shared|ssh|storage|service|subscription|license|session|hmac|webhook|root|unseal)key(?!id)|credential|connectionstring|(?:database|db|redis|mongo(?:db)?|postgres(?:ql)?|mysql|amqp|rabbitmq|webhook)ur[li]|(?:access|auth|bearer|refresh|session|client|id|sas|csrf|xsrf|bot|ingest|approval)token(?!s)|(?:seed|recovery)phrase|(?:recovery|backup|verification|security|auth|mfa|2fa)codes?$|cardnumber|setcookie/

const textWords = set("tokens auth pass keys authentication")
/** `max_tokens`, `inputTokens`: how many, not which. */
const countWords = set(
  "max min input output prompt completion total cached cache reasoning held usage estimated new budget"
)
const secretEnds = /(?:token|pwd)$/
