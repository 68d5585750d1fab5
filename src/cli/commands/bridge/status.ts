import { Effect } from "effect"
import { Command } from "effect/cli"
import { readerOf } from "../../../bridge/Outbox.ts"
import { missingFor } from "../../../layers/CheckpointWitnesses.ts"
import type { ChainId } from "../../../schema/Ids.ts"
import { AuditStore } from "../../../services/AuditStore.ts"
import { BridgeStateStore } from "../../../services/BridgeStateStore.ts"
import * as Connection from "../../../services/PlatformConnection.ts"
import { ReaderStore } from "../../../services/ReaderStore.ts"
import { bridgeSettings } from "../../BridgeSettings.ts"
import { withReader } from "../../Environment.ts"
import { answer } from "../../Output.ts"
import { facts } from "../../Table.ts"

/** How the bridge is set up in this environment, and how far the outbox of this database is. Contacts nobody. */
export const status = Command.make("status").pipe(
  Command.withDescription("How the bridge is set up here, and how far the outbox is behind the log. Contacts nobody."),
  Command.withExamples([
    { command: "governance bridge status --json | jq .outbox.behind", description: "Rows not sent yet" }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* () {
      const { platform } = yield* bridgeSettings
      const missing = platform.bridgeEnabled ? Connection.missing(platform) : "GOVERNANCE_PLATFORM_BRIDGE_ENABLED"
      const reader = readerOf(platform.workflow)
      const state = yield* (yield* BridgeStateStore).read(reader)
      const outbox =
        state === null
          ? null
          : {
              instance: state.instance,
              nextSeq: state.nextSeq,
              underWay: state.inFlight.length,
              behind: yield* behind(reader)
            }
      const host = URL.parse(platform.ingestUrl ?? "")?.host ?? null
      const report = {
        on: missing === null,
        missing,
        host,
        token: platform.ingestToken !== null,
        mode: platform.outbox ? "outbox" : "queue",
        workflow: platform.workflow,
        witness: missingFor({ platform }) === null,
        outbox
      }
      yield* answer(report, () =>
        facts([
          ["bridge", missing === null ? "on" : `off: ${missing} is not set`],
          ["platform", host ?? "none"],
          ["token", report.token ? "set" : "not set"],
          ["mode", report.mode],
          ["workflow", platform.workflow],
          ["witness", report.witness ? "on" : "off"],
          ...(outbox === null
            ? [["outbox", "never used on this database"] as const]
            : ([
                ["instance", outbox.instance],
                ["next seq", String(outbox.nextSeq)],
                ["under way", String(outbox.underWay)],
                ["behind", `${outbox.behind} rows`]
              ] as const))
        ])
      )
    }, withReader)
  )
)

/** Rows of all chains that the reader has not done with. */
const behind = Effect.fnUntraced(function* (reader: string) {
  const log = yield* AuditStore
  const readers = yield* ReaderStore
  const cursors = new Map<ChainId, number>()
  for (let after: ChainId | null = null; ; ) {
    const page: ReadonlyArray<{ readonly chain: ChainId; readonly seq: number }> = yield* readers.cursors(
      reader,
      after,
      1000
    )
    for (const { chain, seq } of page) cursors.set(chain, seq)
    const last = page.at(-1)
    if (page.length < 1000 || last === undefined) break
    after = last.chain
  }
  let rows = 0
  for (let after: ChainId | null = null; ; ) {
    const page: ReadonlyArray<{ readonly chain: ChainId; readonly seq: number }> = yield* log.heads(after, 1000)
    for (const { chain, seq } of page) rows += Math.max(0, seq - (cursors.get(chain) ?? 0))
    const last = page.at(-1)
    if (page.length < 1000 || last === undefined) return rows
    after = last.chain
  }
})
