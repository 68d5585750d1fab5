import { Clock, DateTime, Effect, Layer } from "effect"
import type { OperatorId } from "../../schema/Ids.ts"
import type { PromptActivation, PromptName, PromptVersion, RegisteredPrompt } from "../../schema/Prompt.ts"
import { type ActivationResult, PromptStore } from "../../services/PromptStore.ts"
import { CurrentJournal } from "./StoreTransaction.ts"

interface Activation extends PromptActivation {
  /** What a rollback goes back to; null where nothing was active before. */
  readonly below: Activation | null
}

interface PromptState {
  readonly versions: ReadonlyArray<RegisteredPrompt & { readonly content: string }>
  readonly activations: ReadonlyArray<Activation>
}

/** Prompts in this process's memory. They share nothing with other stores but the transaction. */
export const make = Effect.sync(() => {
  const prompts = new Map<PromptName, PromptState>()
  const none: PromptState = { versions: [], activations: [] }
  const stateOf = (name: PromptName) => prompts.get(name) ?? none

  /** Undone unless the transaction around it commits. */
  const change = <A>(name: PromptName, next: (at: DateTime.Utc, state: PromptState) => readonly [PromptState, A]) =>
    Effect.map(Effect.all([Clock.currentTimeMillis, CurrentJournal]), ([nowMs, journal]) => {
      const before = stateOf(name)
      const [after, result] = next(DateTime.makeUnsafe(nowMs), before)
      prompts.set(name, after)
      // The latest is undone first.
      journal?.onEnd.unshift((committed) => {
        if (committed) return
        if (before === none) prompts.delete(name)
        else prompts.set(name, before)
      })
      return result
    })

  const append = (
    act: { readonly name: PromptName; readonly version: PromptVersion; readonly by: OperatorId },
    below: Activation | null
  ): Effect.Effect<ActivationResult> =>
    change(act.name, (at, { activations, versions }) => {
      const made: Activation = { ...act, seq: activations.length + 1, at, below }
      return [
        { versions, activations: [...activations, made] },
        { _tag: "Activated", activation: plain(made), previous: activations.at(-1)?.version ?? null }
      ]
    })

  return PromptStore.of({
    register: ({ by, content, name, version }) =>
      Effect.suspend(() =>
        stateOf(name).versions.some((known) => known.version === version)
          ? Effect.succeed(false)
          : change(name, (at, { activations, versions }) => [
              { versions: [...versions, { name, version, by, at, content }], activations },
              true
            ])
      ),
    activate: (act) =>
      Effect.suspend((): Effect.Effect<ActivationResult> => {
        const { activations, versions } = stateOf(act.name)
        if (!versions.some(({ version }) => version === act.version)) return Effect.succeed({ _tag: "Unknown" })
        const active = activations.at(-1) ?? null
        return active?.version === act.version
          ? Effect.succeed({ _tag: "Unchanged", version: act.version })
          : append(act, active)
      }),
    rollback: ({ by, name }) =>
      Effect.suspend((): Effect.Effect<ActivationResult> => {
        if (!prompts.has(name)) return Effect.succeed({ _tag: "Unknown" })
        const target = stateOf(name).activations.at(-1)?.below ?? null
        return target === null
          ? Effect.succeed({ _tag: "NothingEarlier" })
          : append({ by, name, version: target.version }, target.below)
      }),
    list: Effect.sync(() =>
      [...prompts]
        .map(([name, { activations, versions }]) => ({
          name,
          versions: versions.length,
          active: activations.at(-1)?.version ?? null
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    ),
    history: (name) =>
      Effect.sync(() => ({
        versions: stateOf(name).versions.map(({ at, by, version }) => ({ name, version, by, at })),
        activations: stateOf(name).activations.map(plain)
      })),
    content: (name, version) =>
      Effect.sync(() => {
        const { activations, versions } = stateOf(name)
        const wanted = version ?? activations.at(-1)?.version
        const found = versions.find((known) => known.version === wanted)
        return found === undefined ? null : { version: found.version, content: found.content }
      })
  })
})

export const layer = Layer.effect(PromptStore, make)

const plain = ({ at, by, name, seq, version }: Activation): PromptActivation => ({ name, version, seq, by, at })
