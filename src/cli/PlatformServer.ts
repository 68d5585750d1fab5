// Loaded by `platform serve` alone: no other command needs a server.
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer } from "effect"
import * as Mailer from "../platform/Mailer.ts"
import { type PlatformConfig, PlatformSettings } from "../platform/PlatformSettings.ts"
import * as Server from "../platform/Server.ts"
import * as SmtpMailer from "../platform/SmtpMailer.ts"
import { UsageError } from "./CliFailure.ts"
import { serverStores } from "./PlatformPlace.ts"
import type { SharedFlags } from "./Root.ts"

export interface Address {
  readonly host: string
  readonly port: number
}

/** The platform at an address, until its scope closes; requests that run are answered first. */
export const layer = (
  flags: SharedFlags,
  address: Address,
  config: PlatformConfig,
  mail: SmtpMailer.SmtpOptions | null
) =>
  Server.serveWith().pipe(
    Layer.provide(serverStores(flags)),
    Layer.provide(Layer.succeed(PlatformSettings, config)),
    Layer.provide(mail === null ? Mailer.layerPrinted : SmtpMailer.layer(mail)),
    Layer.provide(NodeHttpServer.layer(listener, address)),
    Layer.catchTag("ServeError", () =>
      Layer.effectDiscard(
        Effect.fail(
          new UsageError({
            subject: `${address.host}:${address.port}`,
            problem: "cannot be listened on",
            todo: "Something else may use it already; name another one with --host and --port."
          })
        )
      )
    )
  )

/** It listens before its database is there, so that a port that is taken is told at once; who asks meanwhile is to come again. */
const listener = () => {
  const server = createServer()
  return server.on("request", (_, response) => {
    if (server.listenerCount("request") > 1) return
    response.writeHead(503, { "content-type": "application/json", "retry-after": "1" }).end('{"error":"unavailable"}')
  })
}
