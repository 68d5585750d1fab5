import { terminalText } from "../schema/TerminalText.ts"
import { shownOf } from "../services/CheckpointRound.ts"
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
