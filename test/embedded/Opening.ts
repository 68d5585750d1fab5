import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Connection } from "../../src/layers/embedded/ConnectionFile.ts"

/** An opener in a process of its own, so that it can be killed. */
export interface Opening {
  readonly child: ChildProcess
  readonly appUrl: string
  readonly ownerUrl: string
  readonly dataDir: string
  readonly startedHere: boolean
  readonly leave: () => Promise<unknown>
}

export const OPENER = fileURLToPath(new URL("./opener.ts", import.meta.url))

export const openIn = (
  args: ReadonlyArray<string>,
  options?: { readonly uid: number; readonly gid: number; readonly env: NodeJS.ProcessEnv }
) =>
  new Promise<Opening>((resolve, reject) => {
    const child = spawn(process.execPath, [OPENER, ...args], { stdio: ["pipe", "pipe", "pipe"], cwd: "/", ...options })
    const exited = new Promise((done) => child.once("exit", done))
    started.push(child)
    let said = ""
    let complained = ""
    child.stderr.on("data", (chunk) => {
      complained += chunk
    })
    child.stdout.on("data", (chunk) => {
      said += chunk
      const end = said.indexOf("\n")
      if (end < 0) return
      resolve({
        ...JSON.parse(said.slice(0, end)),
        child,
        leave: () => {
          child.stdin.end()
          return exited
        }
      })
    })
    child.on("exit", () => reject(new Error(`the opener ended: ${complained}`)))
  })

/** Whatever a failed test left: openers are ended, and with them their servers. */
export const cleanUp = () => {
  for (const child of started.splice(0)) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
  for (const directory of directories.splice(0))
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
}

export const newDirectory = () => {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "governance-embedded-test-")))
  directories.push(directory)
  return directory
}

export const connectionOf = (dataDir: string): Connection =>
  JSON.parse(readFileSync(join(dataDir, "connection.json"), "utf8"))

/** Waits until none of the processes is left; a zombie that waits for its parent counts as gone. */
export const untilGone = (...pids: ReadonlyArray<number>) =>
  until(`processes ${pids.join(", ")} to end`, () => !pids.some(isAlive))

export const until = async (what: string, holds: () => boolean) => {
  const deadline = performance.now() + 20_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((done) => setTimeout(done, 20))
  }
}

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  if (process.platform !== "linux") return true
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return false
  }
}

const started: Array<ChildProcess> = []
const directories: Array<string> = []
