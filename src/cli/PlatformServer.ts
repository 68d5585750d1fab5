// Loaded by `platform serve` alone: no other command needs a server.
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer } from "effect"
import * as Mailer from "../platform/Mailer.ts"
import { type PlatformConfig, PlatformSettings } from "../platform/PlatformSettings.ts"
import * as Server from "../platform/Server.ts"
import * as SmtpMailer from "../platform/SmtpMailer.ts"
import { UsageError } from "./CliFailure.ts"
import { stores, walls } from "./PlatformPlace.ts"
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
    Layer.merge(walls(flags)),
    Layer.provide(stores(flags)),
    Layer.provide(Layer.succeed(PlatformSettings, config)),
    Layer.provide(mail === null ? Mailer.layerPrinted : SmtpMailer.layer(mail)),
    Layer.provide(NodeHttpServer.layer(createServer, address)),
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
