import { Schema } from "effect"

const rules = {
  form: "it is no plain absolute URL",
  scheme: "only https is allowed; http only to a loopback host that code trusts",
  userinfo: "a URL with a user name or a password is not allowed",
  fragment: "a URL with a fragment is not allowed",
  host: "its host is no valid name or address",
  port: "only port 443 is allowed, or a `host:port` that code trusts",
  "metadata-name": "its host is the metadata service of a cloud",
  "not-allowed": "its host is not in the list of allowed hosts",
  address: "its host has an address that must not be connected to",
  "other-address": "the connection ended at another address than the one that was checked"
} as const

export type EgressRule = keyof typeof rules

/** The guard against requests to places that are not for us (BRG-13, B-01 to B-13). Nothing was sent. */
export class EgressRefused extends Schema.TaggedError<EgressRefused>()("EgressRefused", {
  /** ASCII name or address, never the rest of the URL, which may be a secret; empty when there is none. */
  host: Schema.String,
  rule: Schema.Literals([
    "form",
    "scheme",
    "userinfo",
    "fragment",
    "host",
    "port",
    "metadata-name",
    "not-allowed",
    "address",
    "other-address"
  ]),
  /** The range that the offending address is in. */
  range: Schema.NullOr(Schema.String)
}) {
  override get message() {
    const where = this.host === "" ? "A URL" : `A request to ${this.host}`
    return `${where} was refused: ${rules[this.rule]}${this.range === null ? "" : ` (${this.range})`}`
  }
  get recoveryHint() {
    return "Use https to a public host. A private host can be opened in code alone, by egress.trustedHosts."
  }
}

const problems = {
  unresolved: "its name could not be resolved",
  connection: "the connection failed",
  tls: "its certificate or its TLS version was not accepted",
  timeout: "there was no complete answer in time",
  redirect: "it answered with a redirect, and redirects are not followed",
  tooLarge: "its answer is too large",
  protocol: "its answer is no valid HTTP/1.1"
} as const

/** A permitted request that got no usable answer. Whether the receiver has seen it is unknown, except for `unresolved` and `tls`. */
export class EgressFailed extends Schema.TaggedError<EgressFailed>()("EgressFailed", {
  host: Schema.String,
  problem: Schema.Literals(["unresolved", "connection", "tls", "timeout", "redirect", "tooLarge", "protocol"]),
  /** A code of the system or the TLS library, such as `ECONNREFUSED`; never a text of the receiver's. */
  code: Schema.NullOr(Schema.String)
}) {
  override get message() {
    return `A request to ${this.host} failed: ${problems[this.problem]}${this.code === null ? "" : ` (${this.code})`}`
  }
  get recoveryHint() {
    return `Check that ${this.host} can be reached from here and answers https requests itself.`
  }
}
