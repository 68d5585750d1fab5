// The thread that swaps a name between a directory and a link to the outside, until it is told to stop.
import { mkdirSync, readdirSync, renameSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { workerData } from "node:worker_threads"

interface Places {
  readonly what: string
  readonly parent: string
  readonly target: string
  readonly work: string
  readonly outside: string
  readonly counted: Int32Array
}
const { what, parent, target, work, outside, counted }: Places = workerData
const link = join(work, "link")

const quietly = (act: () => unknown) => {
  try {
    act()
    return true
  } catch {
    return false
  }
}

/** Directory away, link there; link away, directory there. */
const swap = (name: string, round: number) => {
  const hidden = join(work, `hidden-${round}`)
  const moved = quietly(() => renameSync(name, hidden))
  quietly(() => symlinkSync(outside, link))
  if (quietly(() => renameSync(link, name))) Atomics.add(counted, 0, 1)
  if (quietly(() => renameSync(name, link))) Atomics.add(counted, 0, 1)
  quietly(() => (moved ? renameSync(hidden, name) : mkdirSync(name)))
}

/** The directory that a project is being written into, and the names of its files. */
const spoil = () => {
  for (const name of readdirSync(parent).filter((name) => name.startsWith(".governance-recipe-"))) {
    const part = join(parent, name)
    quietly(() => symlinkSync(join(outside, "package.json"), join(part, "package.json")))
    quietly(() => renameSync(part, join(work, `spoilt-${name}`)))
    quietly(() => symlinkSync(outside, part))
    Atomics.add(counted, 0, 1)
  }
}

for (let round = 0; Atomics.load(counted, 1) === 0; round++) {
  if (what === "temporary directory") spoil()
  else swap(what === "target" ? target : parent, round)
}
