import { Context, type Effect, Redacted, type Scope } from "effect"
import type { EgressFailed } from "../schema/EgressError.ts"
import type { EgressTarget } from "../schema/EgressTarget.ts"
import type { IpAddress } from "../schema/IpAddress.ts"

export type HeaderValue = string | Redacted.Redacted<string>

export interface DialledRequest {
  /** Default `POST`. With `GET` the body is not sent. */
  readonly method?: "GET" | "POST" | undefined
  readonly headers: Readonly<Record<string, HeaderValue>>
  readonly body: string
  /** An answer with a longer body, or with longer headers, fails with `tooLarge`. In bytes. */
  readonly maxBody: number
  readonly maxHeader: number
}

export interface DialledResponse {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly body: string
}

/** An open connection. Nothing has been sent over it but the TLS handshake. */
export interface Connection {
  /** As the socket has it: compared with what was asked for before anything is sent. */
  readonly remoteAddress: string
  /** Sends once. */
  readonly post: (request: DialledRequest) => Effect.Effect<DialledResponse, EgressFailed>
}

/** Opens connections to addresses that were checked. MUST resolve nothing and MUST NOT follow, reuse or decompress anything. */
export class Dialler extends Context.Service<
  Dialler,
  {
    /** Connects to this very address; certificate and `Host` are the target's name. Closed with the scope. */
    readonly connect: (target: EgressTarget, address: IpAddress) => Effect.Effect<Connection, EgressFailed, Scope.Scope>
  }
>()("effect-governance/services/Dialler") {}

/** The text of a header. Only for whoever is about to check or send it. */
export const headerText = (value: HeaderValue): string => (Redacted.isRedacted(value) ? Redacted.value(value) : value)
