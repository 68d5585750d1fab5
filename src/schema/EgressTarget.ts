import { Result } from "effect"
import { classify, loopback } from "./AddressRules.ts"
import { EgressRefused, type EgressRule } from "./EgressError.ts"
import { type IpAddress, parseIp } from "./IpAddress.ts"

/** Where requests may go. The two lists pull in opposite directions: `trusted` opens and comes from code alone, `allowed` narrows (DEC-11). */
export interface EgressRules {
  /** Exact `host:port`, as `hostAndPort` makes them: may be private, and may be another port than 443. */
  readonly trusted: ReadonlySet<string>
  /** Exact `host:port`; null allows every host that the guard lets through. */
  readonly allowed: ReadonlySet<string> | null
  /** Whether even a trusted host may be a cloud's metadata service (B-04). */
  readonly allowMetadata: boolean
}

/** A URL that may be asked for as far as one can tell without its addresses. */
export interface EgressTarget {
  readonly secure: boolean
  /** Lower-case ASCII without a trailing dot and without brackets: what is compared, resolved, and shown to TLS. */
  readonly host: string
  readonly port: number
  /** As the `Host` header has it. */
  readonly authority: string
  /** Path and query. */
  readonly path: string
  /** The address, when the host is one: it is never looked up (B-06). */
  readonly literal: IpAddress | null
  readonly trusted: boolean
}

/** Judges a URL before anything is resolved. Works on what the URL parser of browsers made of it, never on the text (B-01, B-12). */
export const targetOf = (url: string | URL, rules: EgressRules): Result.Result<EgressTarget, EgressRefused> => {
  const text = typeof url === "string" ? url : url.href
  if (text.length > maxUrlLength || odd.test(text)) return refuse("", "form")
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]+)/i.exec(text)?.[1]
  const parsed = URL.parse(text)
  if (authority === undefined || parsed === null) return refuse("", "form")
  const host = canonicalHost(parsed.hostname)
  if (parsed.protocol !== "https:" && parsed.protocol !== "http:") return refuse(host ?? "", "scheme")
  if (host === null) return refuse("", "host")
  if (authority.includes("@")) return refuse(host, "userinfo")
  if (text.includes("#")) return refuse(host, "fragment")
  if (metadataNames.has(host) && !rules.allowMetadata) return refuse(host, "metadata-name")

  const secure = parsed.protocol === "https:"
  const port = parsed.port === "" ? (secure ? 443 : 80) : Number(parsed.port)
  const place = `${host}:${port}`
  const trusted = rules.trusted.has(place)
  if (!secure && !trusted) return refuse(host, "scheme")
  if (port !== 443 && !trusted) return refuse(host, "port")
  if (metadataNames.has(host) && !trusted) return refuse(host, "metadata-name")
  if (rules.allowed !== null && !rules.allowed.has(place)) return refuse(host, "not-allowed")

  const literal = parseIp(host)
  const bare = literal?.family === 6 ? `[${host}]` : host
  return Result.succeed({
    secure,
    host,
    port,
    authority: parsed.port === "" ? bare : `${bare}:${port}`,
    path: `${parsed.pathname}${parsed.search}`,
    literal,
    trusted
  })
}

/** Judges what a host resolved to: one bad address among good ones refuses them all (B-05). */
export const admitted = (
  { host, secure, trusted }: EgressTarget,
  addresses: ReadonlyArray<IpAddress>,
  { allowMetadata }: EgressRules
): Result.Result<ReadonlyArray<IpAddress>, EgressRefused> => {
  for (const address of addresses) {
    const verdict = classify(address)
    if (!secure && (verdict._tag === "Public" || verdict.range !== loopback)) return refuse(host, "scheme")
    if (verdict._tag === "Public") continue
    const opened = trusted && (verdict.kind === "private" || (verdict.kind === "metadata" && allowMetadata))
    if (!opened) return refuse(host, "address", verdict.range)
  }
  return Result.succeed(addresses)
}

/** `host` or `host:port` (default 443) in the form that the lists hold; null for anything else, patterns included (B-13). */
export const hostAndPort = (text: string): string | null => {
  if (text === "" || text.length > maxUrlLength || odd.test(text) || /[/?#@*]/.test(text)) return null
  const parsed = URL.parse(`https://${text}`)
  const host = parsed === null ? null : canonicalHost(parsed.hostname)
  return host === null ? null : `${host}:${parsed?.port === "" ? 443 : parsed?.port}`
}

const maxUrlLength = 2048

// Parsers disagree about these, or drop them in silence: white space, controls and backslashes.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const odd = /[\u0000-\u0020\u007f-\u00a0\u2028\u2029\ufeff\\]/

const canonicalHost = (hostname: string): string | null => {
  if (hostname.startsWith("[")) return parseIp(hostname.slice(1, -1)) === null ? null : hostname.slice(1, -1)
  const host = hostname.endsWith(".") ? hostname.slice(0, -1) : hostname
  return host.length <= 253 && host.split(".").every((label) => /^[a-z0-9_-]{1,63}$/.test(label)) ? host : null
}

/** Denied before anything asks a resolver about them (B-04). */
const metadataNames: ReadonlySet<string> = new Set([
  "metadata",
  "metadata.google.internal",
  "metadata.goog",
  "metadata.tencentyun.com",
  "metadata.platformequinix.com",
  "instance-data",
  "instance-data.ec2.internal",
  "rancher-metadata"
])

const refuse = (host: string, rule: EgressRule, range: string | null = null): Result.Result<never, EgressRefused> =>
  Result.fail(new EgressRefused({ host, rule, range }))
