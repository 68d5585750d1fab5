import { execFile } from "node:child_process"
import { createServer as createHttp } from "node:http"
import { createServer as createHttps } from "node:https"
import { createServer as createTcp } from "node:net"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeAuthority, openssl } from "./Authority.ts"
import { listening } from "./Listening.ts"

interface Errand {
  readonly urls: ReadonlyArray<string>
  readonly ca?: string
  readonly control?: boolean
}

const child = (env: Record<string, string>, { ca, control, urls }: Errand) =>
  Effect.callback<unknown>((resume) => {
    const errand = JSON.stringify({ urls, ca: ca ?? null, control: control ?? false })
    const running = execFile(
      process.execPath,
      [join(import.meta.dirname, "poster.ts"), errand],
      { env: { PATH: process.env.PATH, ...env }, timeout: 60_000 },
      (error, stdout) => resume(error === null ? Effect.succeed(JSON.parse(stdout)) : Effect.die(error))
    )
    return Effect.sync(() => running.kill())
  })

describe.skipIf(!openssl)("Egress in a hostile environment (needs the openssl command)", () => {
  it.live(
    "no proxy variable, patched fetch or replaced dispatcher sees a byte of what is posted (B-10, B-11, WHK-04)",
    () =>
      Effect.gen(function* () {
        const authority = yield* makeAuthority
        let proxied = 0
        const proxy = yield* listening(
          createTcp((socket) =>
            socket.on("data", (chunk: Buffer) => {
              proxied += chunk.length
              socket.end("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            })
          )
        )
        let heard = 0
        const answer = (_: unknown, response: { end: () => void }) => {
          heard++
          response.end()
        }
        const plain = yield* listening(createHttp(answer))
        const secure = yield* listening(createHttps(authority.good, answer))
        const through = `http://127.0.0.1:${proxy}`
        const names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
        const env = {
          ...Object.fromEntries(names.map((name) => [name, through])),
          npm_config_proxy: through,
          NO_PROXY: "",
          NODE_USE_ENV_PROXY: "1",
          NODE_OPTIONS: "--use-env-proxy --tls-min-v1.0"
        }
        const urls = [`http://localhost:${plain}/`, `https://localhost:${secure}/`]
        assert.deepStrictEqual(yield* child(env, { urls, ca: join(authority.directory, "ca.pem") }), ["200", "200"])
        assert.deepStrictEqual([heard, proxied], [2, 0])
        // The proxy would have been used by somebody who listens to these variables.
        yield* child(env, { urls: ["http://control.invalid/"], control: true })
        assert.isAbove(proxied, 0)
      }),
    120_000
  )

  it.live(
    "certificates are neither added nor left unchecked by the environment (B-10, B-16, DEC-11)",
    () =>
      Effect.gen(function* () {
        const authority = yield* makeAuthority
        const secure = yield* listening(createHttps(authority.good, (_, answer) => answer.end()))
        const urls = [`https://localhost:${secure}/`]
        const ca = join(authority.directory, "ca.pem")
        const added = { NODE_EXTRA_CA_CERTS: ca, SSL_CERT_FILE: ca, NODE_OPTIONS: "--use-openssl-ca" }
        assert.deepStrictEqual(yield* child(added, { urls }), ["EgressFailed tls"])
        const unchecked = yield* child({ NODE_TLS_REJECT_UNAUTHORIZED: "0" }, { urls, ca })
        assert.deepStrictEqual(unchecked, ["NODE_TLS_REJECT_UNAUTHORIZED"])
      }),
    120_000
  )
})
