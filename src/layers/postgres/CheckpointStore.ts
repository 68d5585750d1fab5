import { Effect, Layer } from "effect"
import type { CheckpointLeaf } from "../../schema/Checkpoint.ts"
import { type CheckpointCommit, CheckpointStore, type StoredCheckpoint } from "../../services/CheckpointStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"
import { byteas, int8s, texts } from "./PgArrays.ts"

/** Checkpoints beside the log that they speak of. The tables are append-only; whoever owns them can still change them. */
export const make = Effect.gen(function* () {
  const { deploymentId, prefix } = yield* Database
  // Nobody waits for these but people and a fiber in the background.
  const ask = yield* Ask.make("CheckpointStore", 30_000)

  const stored = `SELECT c.size, c.previous, c.root, c.peaks,
      ARRAY(SELECT n.note FROM ${prefix}governance_checkpoint_notes n WHERE n.size = c.size ORDER BY n.note),
      greatest(0, extract(epoch FROM clock_timestamp() - c.made_at) * 1000)::float8
    FROM ${prefix}governance_checkpoints c`

  // Root and peaks are computed there: whoever may call this could claim others.
  const grown =
    (operation: string, name: string) =>
    ({ leaves, previous }: CheckpointCommit) =>
      Effect.map(
        ask(operation, `SELECT ${prefix}${name}($1, $2, $3, $4)`, [
          BigInt(previous),
          texts(leaves.map(({ chain }) => chain)),
          int8s(leaves.map(({ seq }) => BigInt(seq))),
          byteas(leaves.map(({ hash }) => hash))
        ]),
        ([row]) => row?.[0] === true
      )

  return CheckpointStore.of({
    deploymentId,
    latest: Effect.suspend(() =>
      Effect.map(ask("latest", `${stored} ORDER BY c.size DESC LIMIT 1`), ([row]) =>
        row === undefined ? null : storedOf(row)
      )
    ),
    checkpoints: (after, limit) =>
      Effect.map(
        ask("checkpoints", `${stored} WHERE c.size > $1 ORDER BY c.size LIMIT $2`, [BigInt(after), BigInt(limit)]),
        (rows) => rows.map(storedOf)
      ),
    leaves: (from, to) =>
      Effect.map(
        ask(
          "leaves",
          `SELECT chain, seq, hash FROM ${prefix}governance_checkpoint_leaves WHERE index >= $1 AND index < $2 ORDER BY index`,
          [BigInt(from), BigInt(to)]
        ),
        (rows) => rows.map(leafOf)
      ),

    // A head is joined with its row: what a leaf says MUST be a committed row, not what somebody wrote into a head.
    moved: (limit, withinMs) =>
      Effect.map(
        ask(
          "moved",
          `SELECT h.chain, e.seq, e.hash, l.index, l.seq, l.hash, n.hash
             FROM ${prefix}governance_audit_chain_heads h
             JOIN ${prefix}governance_audit_events e ON e.chain = h.chain AND e.seq = h.seq AND e.hash = h.hash
             LEFT JOIN LATERAL (SELECT f.index, f.seq, f.hash FROM ${prefix}governance_checkpoint_leaves f
                                 WHERE f.chain = h.chain ORDER BY f.index DESC LIMIT 1) l ON true
             LEFT JOIN ${prefix}governance_audit_events n ON n.chain = h.chain AND n.seq = l.seq
            WHERE ($2::float8 IS NULL OR h.moved_at >= clock_timestamp() - $2::float8 * interval '1 millisecond')
              AND (l.seq IS NULL OR l.seq <> e.seq OR l.hash <> e.hash)
            ORDER BY h.chain LIMIT $1`,
          [BigInt(limit), withinMs]
        ),
        (rows) =>
          rows.map(([chain, seq, hash, index, coveredSeq, coveredHash, now]) => ({
            ...leafOf([chain, seq, hash]),
            covered:
              index === null
                ? null
                : {
                    index: Number(index),
                    seq: Number(coveredSeq),
                    hash: bytes(coveredHash),
                    now: now === null ? null : bytes(now)
                  }
          }))
      ),

    rowsAt: (positions) =>
      Effect.map(
        ask(
          "rowsAt",
          `SELECT e.hash, coalesce((SELECT m.seq FROM ${prefix}governance_audit_events m
                                     WHERE m.chain = p.chain ORDER BY m.seq DESC LIMIT 1), 0)
             FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS p(chain, seq, n)
             LEFT JOIN ${prefix}governance_audit_events e ON e.chain = p.chain AND e.seq = p.seq ORDER BY p.n`,
          [texts(positions.map(({ chain }) => chain)), int8s(positions.map(({ seq }) => BigInt(seq)))]
        ),
        (rows) => rows.map(([hash, last]) => ({ hash: hash === null ? null : bytes(hash), lastSeq: Number(last) }))
      ),

    commit: grown("commit", "governance_commit_checkpoint"),
    retake: grown("retake", "governance_retake_checkpoint"),
    note: (size, note) =>
      Effect.asVoid(ask("note", `SELECT ${prefix}governance_note_checkpoint($1, $2)`, [BigInt(size), note])),
    adoptions: Effect.suspend(() =>
      Effect.map(
        ask("adoptions", `SELECT note FROM ${prefix}governance_checkpoint_adoptions ORDER BY size, id`),
        (rows) => rows.map(([note]) => String(note))
      )
    ),
    adopt: (id, size, note) =>
      Effect.asVoid(
        ask("adopt", `SELECT ${prefix}governance_adopt_checkpoint($1::uuid, $2, $3)`, [id, BigInt(size), note])
      )
  })
})

export const layer = Layer.effect(CheckpointStore, make)

const leafOf = ([chain, seq, hash]: ReadonlyArray<unknown>): CheckpointLeaf => ({
  chain: String(chain),
  seq: Number(seq),
  hash: bytes(hash)
})

const storedOf = ([size, previous, root, peaks, notes, ageMs]: ReadonlyArray<unknown>): StoredCheckpoint => {
  const joined = bytes(peaks)
  return {
    size: Number(size),
    previous: Number(previous),
    root: bytes(root),
    peaks: Array.from({ length: joined.length / 32 }, (_, at) => joined.slice(at * 32, at * 32 + 32)),
    notes: Array.isArray(notes) ? notes.map(String) : [],
    ageMs: Number(ageMs)
  }
}

const bytes = (value: unknown): Uint8Array => (value instanceof Uint8Array ? Uint8Array.from(value) : new Uint8Array(0))
