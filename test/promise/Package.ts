import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { compiled } from "../support/Compiled.ts"

export const root = join(import.meta.dirname, "../..")

/** The compiled package in the `node_modules` of a project of its own, with the examples beside it: as its users have it. */
export const install = async () => {
  const dist = await compiled()
  const project = mkdtempSync(join(root, ".compiled-"))
  const installed = join(project, "node_modules/effect-governance")
  mkdirSync(installed, { recursive: true })
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }))
  cpSync(dist, join(installed, "dist"), { recursive: true })
  cpSync(join(root, "package.json"), join(installed, "package.json"))
  symlinkSync(join(root, "migrations"), join(installed, "migrations"))
  cpSync(join(root, "examples"), join(project, "examples"), { recursive: true })
  return { project, remove: () => rmSync(project, { recursive: true, force: true }) }
}

/** A running program, and what it has printed so far, line by line. */
export interface Program {
  readonly process: ChildProcess
  readonly lines: ReadonlyArray<string>
  /** The first line that matches; the program prints it sooner or later. */
  readonly line: (pattern: RegExp) => Promise<RegExpMatchArray>
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
}

/** Starts a file, or a text, of the project with plain Node. */
export const start = (project: string, program: string, env: Record<string, string> = {}): Program => {
  const file = program.includes("\n") ? join(project, `program-${Math.random().toString(36).slice(2)}.mjs`) : program
  if (program.includes("\n")) writeFileSync(file, program)
  const child = spawn(process.execPath, [file], {
    cwd: project,
    env: { PATH: process.env.PATH ?? "", PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const lines: Array<string> = []
  const waiting = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line)
      for (const look of waiting) look()
    })
  }
  const ended = once(child, "close").then(([code, signal]: ReadonlyArray<unknown>) =>
    typeof code === "number" ? code : String(signal)
  )
  const line = (pattern: RegExp) =>
    new Promise<RegExpMatchArray>((resolve, reject) => {
      const look = () => {
        const found = lines.map((text) => text.match(pattern)).find((match) => match !== null)
        if (found === undefined) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      ended.then((how) => reject(new Error(`ended with ${how} before ${pattern}:\n${lines.join("\n")}`)))
      look()
    })
  return { process: child, lines, line, ended }
}

export const stop = async (program: Program, signal: NodeJS.Signals = "SIGKILL") => {
  program.process.kill(signal)
  return program.ended
}
