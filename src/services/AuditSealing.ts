import { Effect, Result } from "effect"
import type { SecureRandom } from "effect/crypto"
import type { InvalidAuditEvent } from "../schema/AuditError.ts"
import type { AuditEventInput } from "../schema/AuditEvent.ts"
import { type AuditIntake, decodeEvent } from "../schema/AuditIntake.ts"
import { type SealMark, unsealable } from "../schema/Escape.ts"
import { EventId } from "../schema/Ids.ts"
import { snapshotMarked } from "../schema/Json.ts"
import type { SubjectKeys } from "./SubjectKeys.ts"

export type Sealing = Pick<SubjectKeys["Service"], "sealFor">
export type Decoded = Result.Result<AuditIntake, InvalidAuditEvent>

/**
 * Decodes an event and hands on what came of it, at once where nothing in it is marked. Marked values are sealed here, once,
 * before anything is delivered: retries, spool and copies carry the same bytes (BEY-12). An event with marks gets its id
 * first, which its seals are bound to.
 */
export const make =
  (subjects: Sealing | undefined, random: SecureRandom.SecureRandom["Service"]) =>
  <A, E>(event: AuditEventInput, use: (decoded: Decoded) => Effect.Effect<A, E>): Effect.Effect<A, E> => {
    noticed = false
    const decoded = decodeEvent(event, notice)
    if (!noticed || subjects === undefined || Result.isFailure(decoded)) return use(decoded)
    const { id } = decoded.success
    return (id === null ? Effect.map(random.uuidV7(), EventId.make) : Effect.succeed(id)).pipe(
      Effect.flatMap((own) => sealed(subjects, event, own)),
      Effect.flatMap(use)
    )
  }

/** From a second snapshot, which is then the only one that counts: a getter may answer differently each time. */
const sealed = (subjects: Sealing, event: AuditEventInput, id: EventId): Effect.Effect<Decoded> => {
  const taken = snapshotMarked(event.metadata)
  const metadata = Result.getOrElse(taken, () => event.metadata)
  const tree = Result.getOrElse(taken, () => null)
  return Effect.map(subjects.sealFor(id, tree), (seal) => decodeEvent({ ...event, id, metadata }, seal))
}

// Decoding is one synchronous step, so one flag serves everybody and unmarked events pay nothing for it.
let noticed = false
const notice: SealMark = () => {
  noticed = true
  return unsealable
}
