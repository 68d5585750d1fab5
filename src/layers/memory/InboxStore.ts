import { Effect, Layer } from "effect"
import { type ForwardedGate, resolutionOf } from "../../schema/ForwardedGate.ts"
import type { WorkflowPlace } from "../../schema/Workspace.ts"
import { type GateToForward, InboxStore } from "../../services/InboxStore.ts"
import { WorkspaceStore } from "../../services/WorkspaceStore.ts"

/** An inbox that is gone with the process. */
export const make = Effect.gen(function* () {
  const workspaces = yield* WorkspaceStore
  const gates = new Map<string, ForwardedGate>()
  const keyOf = ({ workflow, workspace }: WorkflowPlace, request: string) => `${workspace} ${workflow} ${request}`

  return InboxStore.of({
    forward: (gate) =>
      Effect.map(workspaces.workflow(gate), (workflow) => {
        if (workflow === null) return "NoWorkflow"
        const key = keyOf(gate, gate.request)
        const known = gates.get(key)
        if (known !== undefined) return isSame(known, gate) ? "Known" : "Differs"
        gates.set(key, { ...gate, inbox: null, local: null })
        return "Stored"
      }),
    find: (place, request) => Effect.sync(() => gates.get(keyOf(place, request)) ?? null),
    settle: (place, request, local) =>
      Effect.sync(() => {
        const known = gates.get(keyOf(place, request))
        if (known === undefined) return null
        const settled = known.local === null ? { ...known, local } : known
        gates.set(keyOf(place, request), settled)
        return settled
      }),
    decide: (place, request, { actionHash, ...inbox }) =>
      Effect.sync(() => {
        const known = gates.get(keyOf(place, request))
        if (known === undefined) return null
        const isOpen = resolutionOf(known, inbox.atMs).status === "pending" && known.actionHash === actionHash
        const gate = isOpen ? { ...known, inbox } : known
        gates.set(keyOf(place, request), gate)
        return { taken: isOpen, gate }
      }),
    list: (workspace, { limit, nowMs, open }) =>
      Effect.sync(() =>
        [...gates.values()]
          .filter((gate) => gate.workspace === workspace)
          .filter((gate) => !open || resolutionOf(gate, nowMs).status === "pending")
          .sort((left, right) => right.receivedMs - left.receivedMs || (left.request < right.request ? -1 : 1))
          .slice(0, limit)
      )
  })
})

export const layer = Layer.effect(InboxStore, make)

const isSame = (known: ForwardedGate, given: GateToForward): boolean =>
  known.agent === given.agent &&
  known.kind === given.kind &&
  known.actionHash === given.actionHash &&
  known.expiresMs === given.expiresMs
