import { spawn, spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { root } from "../house/Tree.ts"
import { compiled } from "../support/Compiled.ts"

/** This package as npm would publish it: compiled, packed, and unpacked again, with its own dependencies beside it. */
export interface Packed {
  /** Compiles and packs; before anything else. */
  readonly pack: () => Promise<void>
  /** A directory with nothing in it, in which `governance` runs from that package. */
  readonly work: string
  readonly governance: (...args: ReadonlyArray<string>) => string
  /** Gives a project what its package.json names and nothing else, offline: links to what is installed here. */
  readonly install: (project: string) => void
  readonly run: (project: string, program: string, ...args: ReadonlyArray<string>) => string
  /** A program that goes on, with more variables than `run` gives it. */
  readonly start: (project: string, env: Readonly<Record<string, string>>, ...command: ReadonlyArray<string>) => Started
  readonly remove: () => void
}

export interface Started {
  readonly said: () => string
  readonly ended: Promise<number | null>
  readonly stop: () => void
}

export const prepare = (): Packed => {
  const home = mkdtempSync(join(realpathSync(tmpdir()), "governance-packed-"))
  const [source, work, self] = [join(home, "source"), join(home, "work"), join(home, "package")]
  mkdirSync(source)
  mkdirSync(work)
  return {
    pack: async () => {
      cpSync(await compiled(), join(source, "dist"), { recursive: true })
      for (const name of ["package.json", "README.md", "CHANGELOG.md", "LICENSE", "migrations", "recipes"]) {
        cpSync(join(root, name), join(source, name), { recursive: true })
      }
      const archive = run(source, "npm", "pack", "--ignore-scripts", "--offline", "--silent").trim()
      run(home, "tar", "xzf", join(source, archive))
      link(self, namesIn(self, "dependencies", "optionalDependencies"))
    },
    work,
    governance: (...args) => run(work, process.execPath, join(self, "dist/cli/main.js"), ...args),
    install: (project) => {
      link(
        project,
        namesIn(project, "dependencies", "devDependencies").filter((name) => name !== own)
      )
      const installed = join(project, "node_modules", own)
      cpSync(self, installed, { recursive: true, filter: (from) => from !== join(self, "node_modules") })
      link(installed, namesIn(self, "dependencies", "optionalDependencies"))
    },
    run,
    start: (project, env, program = "", ...args) => {
      const child = spawn(program, args, {
        cwd: project,
        env: { ...environment, ...env },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let said = ""
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (part) => {
          said += part
        })
      }
      const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
      return { said: () => said, ended, stop: () => void child.kill("SIGTERM") }
    },
    remove: () => rmSync(home, { recursive: true, force: true })
  }
}

const run = (cwd: string, program: string, ...args: ReadonlyArray<string>) => {
  const ran = spawnSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], env: environment })
  if (ran.status !== 0) throw new Error(`${program} ${args.join(" ")} in ${cwd}:\n${ran.stdout}\n${ran.stderr}`)
  return ran.stdout
}

const own = "effect-governance"

const namesIn = (directory: string, ...fields: ReadonlyArray<string>): ReadonlyArray<string> => {
  const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"))
  return fields.flatMap((field) => Object.keys(manifest[field] ?? {}))
}

const link = (project: string, names: ReadonlyArray<string>) => {
  for (const name of names) {
    const target = join(root, "node_modules", name)
    const place = join(project, "node_modules", name)
    mkdirSync(dirname(place), { recursive: true })
    if (exists(target) && !exists(place)) symlinkSync(realpathSync(target), place)
  }
}

const exists = (path: string) => readdirSync(dirname(path)).includes(path.slice(dirname(path).length + 1))

// Neither a key nor a database of whoever runs the tests gets into a project.
const { PATH = "", HOME = "" } = process.env
const environment = { PATH: `${dirname(process.execPath)}:${PATH}`, HOME, npm_config_update_notifier: "false" }
