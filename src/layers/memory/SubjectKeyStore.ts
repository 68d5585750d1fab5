/** The keys of subjects in this process's memory: they end with the log they seal. */
import { Clock, Effect, Layer } from "effect"
import { type CurrentKey, type KnownKey, SubjectKeyStore } from "../../services/SubjectKeyStore.ts"
import { CurrentJournal } from "./StoreTransaction.ts"

export const make = Effect.sync(() => {
  const keys = new Map<string, KnownKey>()
  const owners = new Map<string, Array<string>>()
  const current = new Map<string, CurrentKey>()

  const forget = (subject: string, ids: ReadonlyArray<string>, erasedAtMs: number) => {
    for (const id of ids) keys.set(id, { _tag: "Erased", id, erasedAtMs })
    const left = (owners.get(subject) ?? []).filter((id) => !ids.includes(id))
    if (left.length === 0) owners.delete(subject)
    else owners.set(subject, left)
    const now = current.get(subject)
    if (now !== undefined && ids.includes(now.id)) current.delete(subject)
  }

  return SubjectKeyStore.of({
    current: (candidates, unusable) =>
      Effect.sync(() =>
        candidates.map((candidate) => {
          const known = current.get(candidate.subject)
          if (known !== undefined && !unusable.includes(known.id)) return known
          current.set(candidate.subject, candidate)
          keys.set(candidate.id, {
            _tag: "Kept",
            id: candidate.id,
            wrapped: candidate.wrapped,
            wrapKey: candidate.wrapKey
          })
          owners.set(candidate.subject, [...(owners.get(candidate.subject) ?? []), candidate.id])
          return candidate
        })
      ),
    byId: (ids) =>
      Effect.sync(() =>
        ids.flatMap((id) => {
          const known = keys.get(id)
          return known === undefined ? [] : [known]
        })
      ),
    idsOf: (subject) => Effect.sync(() => owners.get(subject) ?? []),
    erase: (subject) =>
      Effect.map(Effect.all([Clock.currentTimeMillis, CurrentJournal]), ([nowMs, journal]) => {
        const ids = owners.get(subject) ?? []
        // Nothing is forgotten by a transaction that is rolled back.
        if (journal === null) forget(subject, ids, nowMs)
        else journal.onEnd.push((committed) => (committed ? forget(subject, ids, nowMs) : undefined))
        return ids
      })
  })
})

export const layer = Layer.effect(SubjectKeyStore, make)
