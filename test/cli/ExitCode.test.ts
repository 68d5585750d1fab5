import { assert, describe, it } from "@effect/vitest"
import { Cause, Exit } from "effect"
import { DoctorFindings, NothingToDo, Tampered, Unverifiable, UsageError } from "../../src/cli/CliFailure.ts"
import { exitCodeOf, exitCodeOfExit } from "../../src/cli/ExitCode.ts"
import { EmbeddedPostgresError } from "../../src/layers/Embedded.ts"
import { MigrationError } from "../../src/layers/postgres/Migrations.ts"
import { EventIdConflict, InvalidAuditEvent } from "../../src/schema/AuditError.ts"
import { ConfigurationError } from "../../src/schema/ConfigurationError.ts"
import { AgentId, ChainId, EventId } from "../../src/schema/Ids.ts"
import { InvalidInput } from "../../src/schema/InvalidInput.ts"
import { NotRecorded } from "../../src/schema/NotRecorded.ts"
import { PolicyFileInvalid } from "../../src/schema/PolicyFileText.ts"
import { HaltPersistenceError } from "../../src/schema/Presence.ts"
import { StoreError } from "../../src/schema/StoreError.ts"
import { files, read } from "../house/Tree.ts"

const store = (problem: StoreError["problem"]) => new StoreError({ store: "S", operation: "o", problem })
const migration = (problem: MigrationError["problem"]) => new MigrationError({ problem, schema: "public", about: [] })
const embedded = (problem: EmbeddedPostgresError["problem"]) =>
  new EmbeddedPostgresError({ operation: "start", problem, subject: "x", detail: "" })

const table: ReadonlyArray<readonly [code: number, error: unknown]> = [
  [1, new Tampered({ breaks: 1, chains: 1 })],
  [1, store("integrity")],
  [1, new DoctorFindings({ failed: 1, problem: "findings" })],
  [1, new NothingToDo({ what: "x", todo: "" })],
  [
    1,
    new EventIdConflict({
      eventId: EventId.make("00000000-0000-4000-8000-000000000000"),
      chain: ChainId.make("operator"),
      seq: 1
    })
  ],
  [1, new NotRecorded({ what: "session", id: "s1" })],
  [1, migration("refused")],
  [1, new Error("a defect")],
  [2, new UsageError({ subject: "x", problem: "y", todo: "z" })],
  [2, new ConfigurationError({ setting: "x", problem: "y" })],
  [2, new InvalidInput({ field: "x", problem: "y" })],
  [2, new InvalidAuditEvent({ field: "x", problem: "y" })],
  [2, new PolicyFileInvalid({ file: "x", problems: [] })],
  [2, new DoctorFindings({ failed: 1, problem: "configuration" })],
  [2, store("refused")],
  [2, migration("foreign-tables")],
  [2, migration("newer-schema")],
  [2, embedded("foreign")],
  [3, { _tag: "RolledBack" }],
  [3, { _tag: "OtherChainKey" }],
  [3, { _tag: "OtherIdentity" }],
  [4, new Unverifiable({ what: "x", todo: "y" })],
  [5, store("unreachable")],
  [5, store("deadline")],
  [5, store("overload")],
  [5, migration("unreachable")],
  [5, embedded("server")],
  [5, new HaltPersistenceError({ agentId: AgentId.make("a"), operation: "halt", problem: "x" })],
  [5, new DoctorFindings({ failed: 1, problem: "unreachable" })]
]

describe("exit codes", () => {
  for (const [code, error] of table) {
    const { _tag, problem } = error as { readonly _tag?: string; readonly problem?: string }
    it(`${_tag ?? "a defect"}${problem === undefined ? "" : ` (${problem})`} is ${code} (L-06, DEC-20)`, () => {
      assert.strictEqual(exitCodeOf(error), code)
      assert.strictEqual(exitCodeOfExit(Exit.fail(error)), code)
      assert.strictEqual(exitCodeOfExit(Exit.die(error)), code)
    })
  }

  it("success is 0, and an interrupted run never is (L-06)", () => {
    assert.strictEqual(exitCodeOfExit(Exit.void), 0)
    assert.strictEqual(exitCodeOfExit(Exit.failCause(Cause.interrupt())), 130)
  })

  it("every error class of the project has its line in the table (DEC-20)", () => {
    const known = read("src/cli/ExitCode.ts")
    const names = files("src")
      .filter((file) => file.endsWith(".ts"))
      .flatMap((file) => [...read(file).matchAll(/Schema\.TaggedError<(\w+)>/g)].map((match) => match[1]!))
    const notOurs = new Set(["InvalidMoney"])
    assert.deepStrictEqual(
      names.filter((name) => !notOurs.has(name) && !new RegExp(`\\b${name}\\b`).test(known)),
      []
    )
  })
})
