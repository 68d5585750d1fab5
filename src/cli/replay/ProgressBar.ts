import { Option } from "effect"
import { counted } from "../CliFailure.ts"

/**
 * One line that says how far a file has been read, given out once for each percent (or each thousand sessions where nobody
 * knows the size), so that drawing never costs more than the work.
 */
export const bar = (what: string, totalBytes: number | undefined) => {
  let shown = -1
  return (bytes: number, sessions: number): Option.Option<string> => {
    const known = totalBytes !== undefined && totalBytes > 0
    const step = known ? Math.min(100, Math.floor((bytes * 100) / totalBytes)) : Math.floor(sessions / 1000)
    if (step === shown) return Option.none()
    shown = step
    if (!known) return Option.some(`${what}: ${counted(sessions, "session")}`)
    const filled = Math.round((step * width) / 100)
    return Option.some(
      `${what} [${"#".repeat(filled)}${".".repeat(width - filled)}] ${step}%  ${counted(sessions, "session")}`
    )
  }
}

const width = 30
