import { terminalText } from "../schema/TerminalText.ts"
import type { SinkStanding } from "../services/SinkStandings.ts"

/** One line about a place that checkpoints go to. */
export const standingText = ({ alarm, error, sink, size }: SinkStanding): string => {
  if (error !== null) return terminalText(error, 600)
  const at = size === null ? "has no checkpoint yet" : `has checkpoint ${size}`
  const refused =
    alarm === null ? "" : `; ALARM: it has refused one as ${terminalText(alarm)}, and nobody has answered for it`
  return `${terminalText(sink)} ${at}${refused}`
}
