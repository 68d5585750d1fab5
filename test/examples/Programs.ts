import { setTimeout as pause } from "node:timers/promises"

/** Waits for what another process will do; how long it takes is the test's own limit. */
export const within = async (done: () => boolean): Promise<void> => {
  while (!done()) await pause(50)
}

/** What a program printed itself, without the lines of the log between them. */
export const withoutLog = (out: string): string =>
  out.replace(/^\[[\d:.]+\] [A-Z]+ \(#\d+\): .*\n(?:(?: .*|\})\n)*/gm, "")
