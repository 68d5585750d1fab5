import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Logger } from "effect"
import * as BenchServer from "./BenchServer.ts"
import * as P1 from "./P1.ts"
import * as P2 from "./P2.ts"
import * as P3 from "./P3.ts"
import * as P4 from "./P4.ts"
import * as P5 from "./P5.ts"
import * as P6 from "./P6.ts"
import * as P7 from "./P7.ts"
import * as P8 from "./P8.ts"
import * as P9 from "./P9.ts"
import * as Report from "./Report.ts"
import type { Row, Size } from "./Row.ts"

const usage = `node bench/main.ts [--only P3[,P4]] [--rounds n] [--quick] [--full]
  --only    these benchmarks alone; docs/benchmarks.md is left as it is
  --rounds  rounds that count, default 7, at least 5 (1 with --quick)
  --quick   shows that everything runs; docs/benchmarks.md is left as it is
  --full    P5 and P7 also with 10^6 rows: minutes, and a few gigabytes below the temporary directory`

const benchmarks = { P1, P2, P3, P4, P5, P6, P7, P8, P9 }
type Id = keyof typeof benchmarks

const program = Effect.fnUntraced(function* (size: Size, only: ReadonlyArray<Id>) {
  const rows: Array<Row> = []
  const server = yield* BenchServer.BenchServer
  for (const id of only) {
    console.error(`${id} ...`)
    const found: ReadonlyArray<Row> = yield* benchmarks[id].run(size)
    for (const row of found) console.error(Report.line(row))
    rows.push(...found)
  }
  return { rows, version: server.version, durability: server.durability }
})

const args = process.argv.slice(2)
const valueOf = (name: string) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined)
const quick = args.includes("--quick")
const full = args.includes("--full")
const rounds = Number(valueOf("--rounds") ?? (quick ? 1 : 7))
const isId = (name: string): name is Id => name in benchmarks
const all = Object.keys(benchmarks).filter(isId)
const only = valueOf("--only")?.split(",") ?? all
const flags = ["--only", "--rounds", "--quick", "--full"]
const unknown = args.filter((arg, n) => !flags.includes(arg) && !["--only", "--rounds"].includes(args[n - 1] ?? ""))

if (unknown.length > 0 || !only.every(isId) || !Number.isInteger(rounds) || rounds < (quick ? 1 : 5)) {
  console.error(usage)
  process.exitCode = 2
} else {
  const wanted = only.filter(isId)
  const result = await Effect.runPromise(
    program({ rounds, quick, full }, wanted).pipe(
      Effect.scoped,
      Effect.provide(BenchServer.layer),
      Effect.provide(Logger.layer([]))
    )
  )
  const text = Report.markdown({ ...result, rounds })
  console.log(text)
  if (wanted.length === all.length && !quick) {
    writeFileSync(join(import.meta.dirname, "..", "docs", "benchmarks.md"), text)
    console.error("wrote docs/benchmarks.md")
  }
}
