import { X509Certificate } from "node:crypto"
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http"
import { connect as connectTcp, type Socket } from "node:net"
import { connect as connectTls, createSecureContext, rootCertificates, type SecureContext } from "node:tls"
import { Effect, Layer } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import { EgressFailed } from "../schema/EgressError.ts"
import type { EgressTarget } from "../schema/EgressTarget.ts"
import type { IpAddress } from "../schema/IpAddress.ts"
import { type DialledRequest, type DialledResponse, Dialler, headerText } from "../services/Dialler.ts"
import { Settings } from "../services/Settings.ts"

// Node's own client takes a socket that is open already, and then no agent: proxies, pools and global dispatchers live in
// agents. undici would do as well, as a dependency whose pools, redirects and HTTP/2 have to be switched off one by one.
/** Dials the given address and nothing else. Trusts the certificate authorities that come with Node, and those in `ca`. */
export const make = (ca: ReadonlyArray<string> = []): Dialler["Service"] => {
  // What is no certificate is passed over in silence by the next line, and throws here.
  for (const pem of ca) new X509Certificate(pem)
  // Made once: reading all authorities takes longer than a handshake.
  const trust = createSecureContext({ ca: [...rootCertificates, ...ca], minVersion: "TLSv1.2" })
  return Dialler.of({
    connect: Effect.fnUntraced(function* (target, address) {
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => open(target, address, trust)),
        (socket) => Effect.sync(() => socket.destroy())
      )
      yield* connected(socket, target)
      return {
        remoteAddress: socket.remoteAddress ?? "",
        post: (request) => post(socket, target, request)
      }
    })
  })
}

export const layerWith = (ca: ReadonlyArray<string>) => Layer.sync(Dialler, () => make(ca))

export const layer = Layer.effect(
  Dialler,
  Effect.flatMap(Settings, ({ egress }) =>
    Effect.try({
      try: () => make(egress.ca),
      catch: () => new ConfigurationError({ setting: "egress.ca", problem: "holds something that is no certificate" })
    })
  )
)

/** Everything is said here and nothing left to the environment: SSL_CERT_FILE, NODE_EXTRA_CA_CERTS and --tls-min-v1.0 change nothing. */
const open = (
  { host, literal, port, secure }: EgressTarget,
  { text }: IpAddress,
  secureContext: SecureContext
): Socket => {
  const socket = secure
    ? connectTls({
        host: text,
        port,
        // For an address TLS has no server name; the certificate is then compared with the address itself.
        servername: literal === null ? host : "",
        ALPNProtocols: ["http/1.1"],
        rejectUnauthorized: true,
        secureContext
      })
    : connectTcp({ host: text, port })
  // A socket may fail at any time, also when nobody waits for it any more.
  return socket.on("error", () => {})
}

const connected = (socket: Socket, { host, secure }: EgressTarget) =>
  Effect.callback<void, EgressFailed>((resume) => {
    let reached = false
    socket.once("connect", () => {
      reached = true
    })
    socket.once(secure ? "secureConnect" : "connect", () => resume(Effect.void))
    socket.once("error", (error) => {
      const problem = reached && !isLost(error) ? "tls" : "connection"
      resume(new EgressFailed({ host, problem, code: codeOf(error) }))
    })
    socket.once("close", () => resume(new EgressFailed({ host, problem: "connection", code: null })))
  })

const post = (socket: Socket, { authority, host, path }: EgressTarget, request: DialledRequest) =>
  Effect.callback<DialledResponse, EgressFailed>((resume) => {
    const fail = (problem: EgressFailed["problem"], code: string | null = null) =>
      resume(new EgressFailed({ host, problem, code }))
    const failWith = (error: Error) => {
      const code = codeOf(error)
      if (code === "HPE_HEADER_OVERFLOW") fail("tooLarge")
      else if (code?.startsWith("HPE_") === true) fail("protocol", code)
      else fail("connection", code)
    }
    const { method = "POST" } = request
    const body = Buffer.from(method === "GET" ? "" : request.body)
    const sent: ClientRequest = httpRequest({
      createConnection: () => socket,
      method,
      path,
      setHost: false,
      maxHeaderSize: request.maxHeader,
      headers: {
        ...Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, headerText(value)])),
        host: authority,
        connection: "close",
        "accept-encoding": "identity",
        ...(method === "GET" ? {} : { "content-length": body.length })
      }
    })
    sent.on("error", failWith)
    let answering = false
    sent.on("close", () => fail(answering ? "connection" : "protocol"))
    sent.on("response", (response) => {
      answering = true
      collect(response, request.maxBody, {
        done: (text) =>
          resume(
            Effect.succeed({
              status: response.statusCode ?? 0,
              retryAfter: response.headers["retry-after"],
              body: text
            })
          ),
        tooLarge: () => fail("tooLarge"),
        failed: failWith
      })
    })
    sent.end(body)
    return Effect.sync(() => sent.destroy())
  })

interface Ending {
  readonly done: (text: string) => void
  readonly tooLarge: () => void
  readonly failed: (error: Error) => void
}

const collect = (response: IncomingMessage, max: number, ending: Ending): void => {
  const chunks: Array<Buffer> = []
  let size = 0
  response.on("error", ending.failed)
  response.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size <= max) return chunks.push(chunk)
    ending.tooLarge()
    return response.destroy()
  })
  response.on("end", () => ending.done(Buffer.concat(chunks).toString("utf8")))
}

const isLost = (error: Error): boolean => ["ECONNRESET", "EPIPE", "ETIMEDOUT"].includes(codeOf(error) ?? "")

const codeOf = (error: Error): string | null =>
  "code" in error && typeof error.code === "string" && /^[A-Z0-9_]{1,64}$/.test(error.code) ? error.code : null
