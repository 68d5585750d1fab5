import { Result } from "effect"
import { Hex } from "effect/encoding"
import { parseCheckpoint } from "../schema/Checkpoint.ts"
import { terminalText } from "../schema/TerminalText.ts"
import type { StoredCheckpoint } from "../services/CheckpointStore.ts"
import { counted } from "./CliFailure.ts"

/** A checkpoint for people: how far it reaches, and the note as it can be kept. */
export const checkpointText = (checkpoint: StoredCheckpoint): string => {
  const { ageMs, note, size } = shownOf(checkpoint)
  const seconds = Math.round(ageMs / 1000)
  const signed = note === null ? "not signed yet" : "signed"
  return [
    `checkpoint ${size}, ${signed}, made ${counted(seconds, "second")} ago`,
    ...(note === null
      ? []
      : [
          "",
          ...note
            .trimEnd()
            .split("\n")
            .map((line) => terminalText(line, 400))
        ])
  ].join("\n")
}

/** What programs are shown of a checkpoint. */
export const shownOf = (checkpoint: StoredCheckpoint) => ({
  size: checkpoint.size,
  root: Hex.encode(checkpoint.root),
  note: checkpoint.notes.find((note) => Result.isSuccess(parseCheckpoint(note))) ?? null,
  ageMs: Math.round(checkpoint.ageMs)
})
