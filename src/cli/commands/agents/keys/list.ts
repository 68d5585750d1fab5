import { DateTime, Effect } from "effect"
import { Command } from "effect/cli"
import type { AgentKey } from "../../../../schema/AgentKey.ts"
import { AgentKeyStore } from "../../../../services/AgentKeyStore.ts"
import { possession } from "../../../../services/KeyPossession.ts"
import { sha256OfText } from "../../../../services/TextDigests.ts"
import { withStores } from "../../../Environment.ts"
import { answer } from "../../../Output.ts"
import { momentText, table } from "../../../Table.ts"

/** Every key that was ever registered, and how it ended. One without proof of possession is shown as what it is: nothing. */
export const listKeys = Effect.gen(function* () {
  const store = yield* AgentKeyStore
  const possessed = possession(sha256OfText, yield* store.deploymentId)
  const keys = (yield* store.list).map((key) => ({ ...key, proved: possessed(key) !== null }))
  yield* answer(
    keys.map((key) => ({ ...jsonOf(key), proved: key.proved })),
    (width) =>
      keys.length === 0
        ? "No agent has registered a key."
        : width === undefined
          ? table(columns(true), keys)
          : `${table(columns(false), keys, width)}\n\nFingerprints are shortened here: \`governance agents keys --json\` has them whole.`
  )
}).pipe(withStores)

export const list = Command.make("list").pipe(
  Command.withDescription("List the public keys of agents, revoked ones included."),
  Command.withExamples([
    { command: "governance agents keys list", description: "All of them" },
    {
      command: "governance agents keys list --json | jq '.[] | select(.proved and .revocation == null)'",
      description: "Those in force"
    }
  ]),
  Command.withHandler(() => listKeys)
)

/** On a terminal fingerprints and times are shortened; a pipe has them whole. */
const columns = (whole: boolean) => [
  { title: "AGENT", keep: true, value: (key: AgentKey) => key.agentId },
  { title: "NO", right: true, keep: true, value: (key: AgentKey) => String(key.activationSeq) },
  {
    title: "FINGERPRINT",
    keep: true,
    value: (key: AgentKey) => (whole ? key.fingerprint : key.fingerprint.slice(0, 16))
  },
  { title: "REGISTERED", keep: true, value: (key: AgentKey) => momentText(key.registeredAtMs, whole) },
  {
    title: "REVOKED",
    value: ({ proved, revocation }: ListedKey) => (proved ? revokedText(revocation) : "never proved: void")
  }
]

interface ListedKey extends AgentKey {
  readonly proved: boolean
}

const iso = (ms: number) => DateTime.formatIso(DateTime.makeUnsafe(ms))

const revokedText = (revocation: AgentKey["revocation"]) =>
  revocation === null
    ? "-"
    : `${iso(revocation.revokedAtMs)} by ${revocation.revokedBy}: ${revocation.reason}${revocation.eventId === null ? " (no audit row)" : ""}`

/** Public facts only: there are no others in the registry. */
export const jsonOf = (key: AgentKey) => ({
  agentId: key.agentId,
  activationSeq: key.activationSeq,
  fingerprint: key.fingerprint,
  publicKey: Buffer.from(key.publicKey).toString("hex"),
  registeredAt: iso(key.registeredAtMs),
  revocation:
    key.revocation === null
      ? null
      : {
          revokedAt: iso(key.revocation.revokedAtMs),
          revokedBy: key.revocation.revokedBy,
          reason: key.revocation.reason,
          eventId: key.revocation.eventId
        }
})
