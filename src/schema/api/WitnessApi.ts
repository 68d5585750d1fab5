import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { apiPath, WitnessHead } from "../BridgeWire.ts"
import { ChainId } from "../Ids.ts"
import { WorkflowId, WorkspaceId } from "../Workspace.ts"
import { RouteFeature, TokenAccess } from "./Access.ts"
import { Forbidden, Invalid, NotEntitled, NotFound, Unavailable } from "./Refusals.ts"
import { SessionAccess } from "./SessionAccess.ts"

const Size = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Hash = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/u))
export const maxLeaves = 5_000
const Note = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(8_192))

/** A checkpoint with what proves it: the leaves since `old_size`, or a consistency proof from there (C2SP tlog-witness). */
export const ShownCheckpoint = Schema.Struct({
  note: Note,
  verifier_key: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(1_024)),
  old_size: Size,
  proof: Schema.optionalKey(Schema.Array(Schema.String.check(Schema.isMaxLength(64))).check(Schema.isMaxLength(64))),
  /** Of the first checkpoint of a log: what later leaves are added to. */
  peaks: Schema.optionalKey(Schema.Array(Hash).check(Schema.isMaxLength(64))),
  leaves: Schema.optionalKey(
    Schema.Array(
      Schema.Union([Schema.Struct({ chain: ChainId, seq: Size, hash: Hash }), Schema.Struct({ leaf_hash: Hash })])
    ).check(Schema.isMaxLength(maxLeaves))
  )
})

/** A signed statement that a restored backup is to be believed, with the checkpoint that the log goes on from. */
export const ShownAdoption = Schema.Struct({
  statement: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(16_384)),
  checkpoint: Schema.NullOr(Note),
  peaks: Schema.Array(Hash).check(Schema.isMaxLength(64))
})

/** Prove it again from the size that the witness holds. */
const Stale = Schema.Struct({ error: Schema.Literal("stale_size"), size: Size }).pipe(HttpApiSchema.status(409))
/** It contradicts what was seen before, or is signed by nobody who was known: kept as an alarm. */
const Inconsistent = Schema.Struct({ error: Schema.Literal("refused"), problem: Schema.String }).pipe(
  HttpApiSchema.status(422)
)

/** Where deployments show their checkpoints (BEY-04, P-04). */
export const WitnessApi = HttpApiGroup.make("witness")
  .add(
    HttpApiEndpoint.post("show", "/witness/checkpoints", {
      payload: ShownCheckpoint,
      success: Schema.Struct({ origin: Schema.String, size: Size, root: Hash }),
      error: [Stale, Inconsistent, Invalid, NotFound, Unavailable]
    })
  )
  .add(
    HttpApiEndpoint.get("head", "/witness/checkpoints", {
      query: Schema.Struct({ origin: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(512)) }),
      success: WitnessHead,
      error: [Invalid, Unavailable]
    })
  )
  .add(
    HttpApiEndpoint.post("adopt", "/witness/adoptions", {
      payload: ShownAdoption,
      success: Schema.Struct({ origin: Schema.String, size: Size, root: Hash }),
      error: [Stale, Inconsistent, Invalid, NotFound, Unavailable]
    })
  )
  .middleware(TokenAccess)
  .annotate(RouteFeature, "witness")
  .prefix(apiPath)

/** What was witnessed of a workflow's logs, and what was refused. */
export const WitnessViewApi = HttpApiGroup.make("witnessView")
  .add(
    HttpApiEndpoint.get("status", "/workspaces/:workspace/workflows/:workflow/witness", {
      params: { workspace: WorkspaceId, workflow: WorkflowId },
      success: Schema.Struct({
        logs: Schema.Array(
          Schema.Struct({
            origin: Schema.String,
            verifier_key: Schema.String,
            size: Size,
            root: Hash,
            note: Schema.String,
            seen_ms: Schema.Int
          })
        ),
        alarms: Schema.Array(
          Schema.Struct({
            alarm_id: Schema.String,
            origin: Schema.String,
            problem: Schema.String,
            note: Schema.String,
            kept_note: Schema.NullOr(Schema.String),
            seen_ms: Schema.Int,
            /** The adoption that answers for it; null while nobody has. */
            answered_by: Schema.NullOr(Schema.String)
          })
        ),
        adoptions: Schema.Array(
          Schema.Struct({
            adoption_id: Schema.String,
            origin: Schema.String,
            by: Schema.String,
            reason: Schema.String,
            at: Schema.String,
            from_size: Size,
            size: Size,
            statement: Schema.String,
            kept_note: Schema.String,
            seen_ms: Schema.Int
          })
        )
      }),
      error: [Forbidden, NotEntitled, NotFound, Unavailable]
    })
  )
  .middleware(SessionAccess)
  .prefix(apiPath)
