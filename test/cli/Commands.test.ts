import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import type { Command } from "effect/cli"
import { TestClock } from "effect/testing"
import { cli } from "../../src/cli/Cli.ts"
import { Environment } from "../../src/cli/Environment.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import { PolicyStore } from "../../src/services/PolicyStore.ts"
import { Presence } from "../../src/services/Presence.ts"
import { governance, memory } from "./InProcess.ts"

const policyFile = JSON.stringify({
  agents: { clerk: { scope: { allowedTools: ["refund"] }, budget: { perAgentUsdDaily: "5.00" } } }
})
const apply = (text: string) => governance(["policy", "apply", "-", "--by", "alice"], { stdin: text })

const paths = (command: Command.Command.Any, above: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> => {
  const children = command.subcommands.flatMap((group) => group.commands)
  return children.flatMap((child) => [[...above, child.name], ...paths(child, [...above, child.name])])
}
const commands = paths(cli, [])

describe("governance", () => {
  layer(memory)("help", (it) => {
    for (const path of [[], ...commands]) {
      it.effect(
        `governance ${path.join(" ")} --help shows what it does and an example that begins with its name (CLI)`,
        () =>
          Effect.gen(function* () {
            const shown = yield* governance([...path, "--help"])
            assert.strictEqual(shown.code, 0)
            assert.strictEqual(shown.err, "")
            assert.include(shown.out, "DESCRIPTION")
            assert.include(shown.out.slice(shown.out.indexOf("EXAMPLES")), `governance ${path.join(" ")}`.trim())
            assert.deepStrictEqual(yield* governance([...path, "-h"]), shown)
          })
      )
    }

    it.effect(
      "a command line that cannot be run exits with 2, says so on standard error, and prints nothing else (L-06)",
      () =>
        Effect.gen(function* () {
          const wrong = [
            ["bogus"],
            ["verify", "--bogus"],
            ["verify", "stray"],
            ["halt", "clerk"],
            ["halt", "--reason", "x"],
            ["policy"],
            [],
            ["policy", "release", "clerk", "bogus"],
            ["verify", "--session", "a", "--chain", "operator"],
            ["verify", "--chain", "nonsense"],
            ["tail", "--since", "yesterday"],
            ["emit", "k", "--agent", "a", "--metadata", "{bad"],
            ["emit", "k", "--agent", "a", "--metadata", "1", "--metadata-file", "-"],
            ["emit", "k", "--agent", "a", "--metadata-file", "/nowhere/at/all"],
            ["halt", "clerk", "--reason", " ", "--by", "a"],
            ["budget", "\u001b\u001b"],
            ["policy", "apply", "/nowhere/at/all"]
          ]
          for (const args of wrong) {
            const ran = yield* governance(args)
            assert.strictEqual(ran.code, 2, args.join(" "))
            assert.strictEqual(ran.out, "", args.join(" "))
            assert.notStrictEqual(ran.err, "", args.join(" "))
            assert.notMatch(ran.err, /^\s+at .*:\d+:\d+/m)
          }
        })
    )

    it.effect("an unknown command offers help in one line, and shows no secret from the command line (L-05)", () =>
      Effect.gen(function* () {
        const ran = yield* governance(["postgres://bob:canary@db/app"])
        assert.include(ran.err, "governance --help")
        assert.notInclude(ran.err, "canary")
      })
    )
  })

  layer(memory)("halt and resume", (it) => {
    it.effect("stop an agent with its audit row, state who acts, and lift the halt again (PRS-12, V8-09)", () =>
      Effect.gen(function* () {
        const presence = yield* Presence
        yield* presence.heartbeat("clerk")
        const halted = yield* governance(["halt", "clerk", "--reason", "wrong refunds"])
        assert.strictEqual(halted.code, 0)
        assert.match(halted.err, /^Acting as \S+, your user name/)
        assert.include(halted.out, "wrong refunds")
        assert.isTrue(yield* presence.isHalted("clerk"))
        const again = yield* governance(["halt", "clerk", "--reason", "other", "--by", "bob"])
        assert.include(again.out, "was halted already")
        assert.include(again.out, "wrong refunds")
        const listed = JSON.parse((yield* governance(["agents", "--json"])).out)
        assert.strictEqual(listed[0].status, "halted")
        assert.strictEqual(listed[0].halt.reason, "wrong refunds")
        const resumed = JSON.parse((yield* governance(["resume", "clerk", "--by", "bob", "--json"])).out)
        assert.strictEqual(resumed.lifted.reason, "wrong refunds")
        assert.isFalse(yield* presence.isHalted("clerk"))
        const records = yield* Audit.use((audit) => audit.getEvents({}))
        assert.deepStrictEqual(
          records.map((record) => record.kind),
          ["agent.halted", "agent.restored"]
        )
      })
    )

    it.effect("say when the name is new, in case it was mistyped", () =>
      Effect.gen(function* () {
        const ran = yield* governance(["halt", "clrek", "--reason", "x", "--by", "bob"])
        assert.strictEqual(ran.code, 0)
        assert.include(ran.err, "no agent called clrek")
      })
    )

    it.effect("resume fails while an agent above is halted, and names it (BEY-09)", () =>
      Effect.gen(function* () {
        const presence = yield* Presence
        yield* presence.heartbeat("boss")
        yield* presence.delegate("boss", "worker")
        yield* presence.heartbeat("worker")
        yield* presence.halt("boss", { by: "eve", reason: "all of it" })
        const ran = yield* governance(["resume", "worker", "--by", "bob"])
        assert.strictEqual(ran.code, 1)
        assert.include(ran.err, "governance resume boss")
        const listed = yield* governance(["agents"])
        assert.match(listed.out, /worker +halted .*through boss/)
      })
    )

    it.effect("data cannot drive the terminal (L-07, T-13)", () =>
      Effect.gen(function* () {
        const presence = yield* Presence
        yield* presence.heartbeat("evil", { operatorId: "eve\u202eecilA" })
        yield* presence.halt("evil", { by: "eve\u200b", reason: "\u001b]52;c;aGk=\u0007 \u202egnp" })
        for (const args of [["agents"], ["agents", "--json"], ["halt", "evil", "--reason", "x", "--by", "b"]]) {
          const ran = yield* governance(args)
          assert.notMatch(
            ran.out.replaceAll("\n", "") + ran.err.replaceAll("\n", ""),
            /[\p{Cc}\u200b-\u200f\u202a-\u202e]/u
          )
        }
      })
    )
  })

  layer(memory)("policies", (it) => {
    it.effect(
      "are applied whole, as an operator's, each change audited; the same file again changes nothing (DEC-21)",
      () =>
        Effect.gen(function* () {
          const first = yield* apply(policyFile)
          assert.strictEqual(first.code, 0)
          assert.include(first.out, "2 policies applied, 0 as before")
          const second = yield* apply(policyFile)
          assert.include(second.out, "0 policies applied, 2 as before")
          const rows = yield* Effect.flatMap(PolicyStore, (store) => store.all)
          assert.isTrue(rows.every((row) => row.source === "operator"))
          const records = yield* Audit.use((audit) => audit.getEvents({}))
          assert.deepStrictEqual(
            records.map(({ chain, kind }) => [chain, kind]),
            [
              ["agent:clerk", "policy.changed"],
              ["agent:clerk", "policy.changed"]
            ]
          )
        })
    )

    it.effect("a narrow terminal clips what a policy says, never whose it is", () =>
      Effect.gen(function* () {
        const { out } = yield* governance(["policy", "show"], { terminal: [] })
        assert.isTrue(out.split("\n").every((line) => line.length <= 80))
        assert.match(out, /clerk +scope +operator +1 +\{.*…/)
      })
    )

    it.effect("what show prints as JSON can be applied again", () =>
      Effect.gen(function* () {
        const shown = JSON.parse((yield* governance(["policy", "show", "--json"])).out)
        const again = yield* apply(JSON.stringify({ agents: shown.agents }))
        assert.include(again.out, "0 policies applied, 2 as before")
      })
    )

    it.effect("are given back once, and a second time there is nothing to give back", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* governance(["policy", "release", "clerk", "budget", "--by", "alice"])).code, 0)
        const again = yield* governance(["policy", "release", "clerk", "budget", "--by", "alice"])
        assert.strictEqual(again.code, 1)
        assert.include(again.err, "No operator has set")
      })
    )

    it.effect("a file with any fault is refused whole, with every fault named, and changes nothing", () =>
      Effect.gen(function* () {
        const before = yield* Effect.flatMap(PolicyStore, (store) => store.all)
        const faults: ReadonlyArray<readonly [file: string, said: string]> = [
          ["{", "not JSON"],
          ["[]", "no policy file"],
          ['{"agents":{}}', "names no policy"],
          [
            '{"agents":{"good":{"loop":{"windowSeconds":1,"maxCalls":1}},"bad":{"budget":{"perSesionUsd":"1"}}}}',
            "agents.bad.budget.perSesionUsd: is no known setting"
          ],
          ['{"agents":{"a":{"budget":{"perSessionUsd":"-1"}}}}', "agents.a.budget.perSessionUsd"],
          ['{"agents":{"*":{"loop":{"windowSeconds":1,"maxCalls":1}}}}', "replay only"],
          ['{"agents":{"a":{"audit":{"mode":"required"}},"a\\u0000":{"audit":{"mode":"required"}}}}', "same agent"],
          ['{"agents":{"":{"audit":{"mode":"required"}}}}', "1 to 256"]
        ]
        for (const [file, said] of faults) {
          for (const command of ["apply", "validate"]) {
            const ran = yield* governance(["policy", command, "-"], { stdin: file })
            assert.strictEqual(ran.code, 2, file)
            assert.include(ran.err, said)
            assert.strictEqual(ran.out, "")
          }
        }
        assert.deepStrictEqual(yield* Effect.flatMap(PolicyStore, (store) => store.all), before)
      })
    )

    it.effect("validate needs no database at all", () =>
      Effect.gen(function* () {
        const ran = yield* governance(["policy", "validate", "-", "--json"], {
          stdin: policyFile,
          env: { GOVERNANCE_DATABASE_URL: "nonsense" }
        })
        assert.deepStrictEqual(JSON.parse(ran.out), { valid: true, agents: 1, policies: 2 })
      })
    )
  })

  layer(memory)("budget", (it) => {
    it.effect("shows what is spent and left, with and without caps (CLI-04, CST-13)", () =>
      Effect.gen(function* () {
        const bare = yield* governance(["budget", "clerk"])
        assert.include(bare.out, "No budget is set")
        yield* apply(policyFile)
        yield* Cost.use((cost) => cost.track("clerk", "s1", { usd: "1.25", tokens: 100, model: "m" }))
        const shown = JSON.parse((yield* governance(["budget", "clerk", "--session", "s1", "--json"])).out)
        assert.strictEqual(shown.sessionUsdUsed, "1.25")
        assert.strictEqual(shown.sessionTokensUsed, "100")
        assert.strictEqual(shown.agentDailyUsdRemaining, "3.75")
        assert.isNull(shown.sessionUsdRemaining)
        assert.match((yield* governance(["budget", "clerk"])).out, /perAgentUsdDaily +clerk +\$1\.25 +\$5\.00 +\$3\.75/)
      })
    )
  })

  layer(memory)("emit, verify and tail", (it) => {
    it.effect("emit stores one event in its chain and prints its place (CLI-12)", () =>
      Effect.gen(function* () {
        const ran = yield* governance([
          "emit",
          "deploy.finished",
          "--agent",
          "ci",
          "--metadata",
          '{"version":"1.4.2"}',
          "--json"
        ])
        const record = JSON.parse(ran.out)
        assert.deepInclude(record, {
          status: "stored",
          chain: "agent:ci",
          seq: 1,
          kind: "deploy.finished",
          metadata: { version: "1.4.2" }
        })
        const piped = yield* governance(
          ["emit", "report.made", "--agent", "ci", "--session", "q3", "--metadata-file", "-"],
          { stdin: '{"n":1}' }
        )
        assert.strictEqual(piped.err, "")
        assert.include(piped.out, "row 1 of session:q3")
      })
    )

    it.effect("emit refuses metadata above 64 KiB and stores nothing of it (CLI-12, AUD-06)", () =>
      Effect.gen(function* () {
        const big = JSON.stringify("x".repeat(65_536))
        const ran = yield* governance(["emit", "big", "--agent", "ci", "--metadata-file", "-"], { stdin: big })
        assert.strictEqual(ran.code, 2)
        const huge = yield* governance(["emit", "big", "--agent", "ci", "--metadata-file", "-"], {
          stdin: " ".repeat(1_048_577)
        })
        assert.strictEqual(huge.code, 2)
        assert.include(huge.err, "larger than")
        const records = yield* Audit.use((audit) => audit.getEvents({ kinds: ["big"] }))
        assert.strictEqual(records.length, 0)
      })
    )

    it.effect("verify finds a whole log whole (CLI-02)", () =>
      Effect.gen(function* () {
        const ran = yield* governance(["verify"])
        assert.strictEqual(ran.code, 0)
        assert.match(ran.out, /^ok: \d+ rows in \d+ chains, 0 breaks/)
        const json = JSON.parse((yield* governance(["verify", "--session", "q3", "--json"])).out)
        assert.deepInclude(json, { verdict: "ok", rows: 1 })
      })
    )

    it.effect("verify shows how far it is on a terminal, clears that line, and shows nothing of it elsewhere", () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 hour")
        const terminal: Array<string> = []
        const ran = yield* governance(["verify"], { terminal })
        assert.match(terminal[0]!, /^\rverifying: \d+ rows/)
        assert.strictEqual(terminal.at(-1), "\r\u001b[K")
        assert.notInclude(ran.out + ran.err, "verifying")
      })
    )

    it.effect("verify names what came after a session was closed, and calls it no fault (CLI-02, BEY-04)", () =>
      Effect.gen(function* () {
        const emit = (kind: string) => governance(["emit", kind, "--agent", "ci", "--session", "ended"])
        yield* emit("session.closed")
        const verify = governance(["verify", "--session", "ended"])
        assert.notInclude((yield* verify).out, "closed by row")
        yield* emit("late")
        const ran = yield* verify
        assert.strictEqual(ran.code, 0)
        assert.include(ran.out, "session:ended: closed by row 1, 1 row came after it\n")
      })
    )

    it.effect("verify does not call a session ok that has no rows: 4 (L-06)", () =>
      Effect.gen(function* () {
        const ran = yield* governance(["verify", "--session", "q4"])
        assert.strictEqual(ran.code, 4)
        assert.include(ran.err, "session:q4 has no rows")
        assert.include(ran.out, "NOT VERIFIED")
        assert.strictEqual(
          JSON.parse((yield* governance(["verify", "--chain", "operator", "--json"])).out).verdict,
          "unverifiable"
        )
      })
    )

    it.effect("an interrupted verify is 130, and prints no verdict (L-06)", () =>
      Effect.gen(function* () {
        const endless = Effect.map(Environment, (environment) =>
          Environment.of({
            ...environment,
            reader: (flags) =>
              Layer.effectContext(
                Effect.map(Layer.build(environment.reader(flags)), (context) =>
                  Context.add(context, Audit, Audit.of({ ...Context.get(context, Audit), report: () => Effect.never }))
                )
              )
          })
        )
        const running = yield* Effect.forkChild(
          Effect.provideServiceEffect(governance(["verify"], { until: "1 second" }), Environment, endless)
        )
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(yield* Fiber.join(running), { code: 130, out: "", err: "" })
      })
    )

    it.effect("tail --since begins in the past (CLI-03)", () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("30 minutes")
        const following = yield* Effect.forkChild(
          governance(["tail", "--since", "30d", "--session", "q3", "--json"], { until: "3 seconds" })
        )
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("2 seconds")
        const { out } = yield* Fiber.join(following)
        assert.deepInclude(JSON.parse(out), { kind: "report.made", sessionId: "q3", seq: 1 })
      })
    )

    it.effect("tail follows live, filters, and prints JSON lines that cannot drive a terminal (CLI-03, L-07)", () =>
      Effect.gen(function* () {
        const wanted = ["tail", "--agent", "ci", "--kind", "deploy.*", "--json"]
        const fiber = yield* Effect.forkChild(governance(wanted, { until: "3 seconds" }))
        yield* TestClock.adjust("1 second")
        const audit = yield* Audit
        yield* audit.log({ kind: "deploy.failed", agentId: "ci", metadata: { log: "\u001b[2J\u202e" } })
        yield* audit.log({ kind: "deploy.failed", agentId: "other" })
        yield* audit.log({ kind: "build.failed", agentId: "ci" })
        yield* TestClock.adjust("2 seconds")
        const { code, out } = yield* Fiber.join(fiber)
        assert.strictEqual(code, 130)
        const lines = out.trim().split("\n")
        assert.strictEqual(lines.length, 1)
        assert.deepInclude(JSON.parse(lines[0]!), {
          kind: "deploy.failed",
          agentId: "ci",
          metadata: { log: "\u001b[2J\u202e" }
        })
        assert.notMatch(lines[0]!, /[\p{Cc}\u202e]/u)
      })
    )
  })
})
