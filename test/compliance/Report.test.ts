import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as MemoryAuditStore from "../../src/layers/memory/AuditStore.ts"
import * as SubjectKeyStore from "../../src/layers/memory/SubjectKeyStore.ts"
import type { ComplianceReport } from "../../src/schema/ComplianceReport.ts"
import { coverageCaveat } from "../../src/schema/ComplianceReport.ts"
import { EventId } from "../../src/schema/Ids.ts"
import { operatorDraft } from "../../src/schema/OperatorDraft.ts"
import { integrityOf } from "../../src/schema/ReportAssembly.ts"
import { reportHtml } from "../../src/schema/ReportHtml.ts"
import { statusOf } from "../../src/schema/ReportSections.ts"
import { reportIdText, reportJson, reportMarkdown } from "../../src/schema/ReportText.ts"
import { Audit } from "../../src/services/Audit.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as CheckpointProofs from "../../src/services/CheckpointProofs.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import { readingTampered } from "../audit/Rig.ts"
import * as Logs from "./Logs.ts"
import * as Trees from "./Trees.ts"

const titles = (report: ComplianceReport) => report.sections.map(({ title }) => title)
const factOf = (report: ComplianceReport, label: string) =>
  [...report.integrity, ...report.retention, ...report.sections.flatMap(({ data }) => data)].find(
    (one) => "label" in one && one.label === label
  )

describe("Compliance", () => {
  it.effect("an Article 12 report has exactly seven sections, a summary three (CMP-08, CMP-09)", () =>
    Effect.gen(function* () {
      yield* Logs.day
      const compliance = yield* Compliance.Compliance
      assert.deepStrictEqual(titles(yield* compliance.generateArticle12()), [
        "Event registration",
        "Duration of use",
        "Reference database",
        "Input data",
        "Functioning",
        "Human oversight",
        "Post-market monitoring"
      ])
      const summary = yield* compliance.generateSummary("billing-agent")
      assert.deepStrictEqual(titles(summary), ["Agent overview", "Violation summary", "Human oversight"])
      assert.strictEqual(summary.agentId, "billing-agent")
    }).pipe(Effect.provide(Logs.layer))
  )

  it.effect("the same rows give the same bytes, with an id and a time that follow from them (CMP-01)", () =>
    Effect.gen(function* () {
      yield* Logs.day
      const compliance = yield* Compliance.Compliance
      const first = yield* compliance.generateArticle12({ verifyChain: true })
      const second = yield* compliance.generateArticle12({ verifyChain: true })
      assert.strictEqual(reportJson(first), reportJson(second))
      const { hash } = yield* ChainKeys.ChainKeys
      assert.strictEqual(first.reportId, Buffer.from(hash(reportIdText(first))).toString("hex"))
      const asked = yield* compliance.generateArticle12({ atMs: 1_800_000_000_000 })
      assert.strictEqual(asked.generatedAt, "2027-01-15T08:00:00.000Z")
      assert.notStrictEqual(asked.reportId, first.reportId)
    }).pipe(Effect.provide(Logs.layer))
  )

  it.effect("calls without an end are listed, swept or not; calls with one are not (BEY-06)", () =>
    Effect.gen(function* () {
      yield* Logs.day
      const report = yield* (yield* Compliance.Compliance).generateArticle12()
      assert.deepStrictEqual(
        report.orphans.rows.map((row) => row[5]),
        ["yes, charged what was held", "not yet: it may still run"]
      )
      assert.deepStrictEqual(factOf(report, "Calls without an end"), { label: "Calls without an end", value: 2 })
    }).pipe(Effect.provide(Logs.layer))
  )

  it.effect(
    "a session, an agent and a time each leave the rest out; a session keeps the halts of its agents (CMP-13)",
    () =>
      Effect.gen(function* () {
        yield* Logs.day
        const compliance = yield* Compliance.Compliance
        const session = yield* compliance.generateArticle12({ sessionIds: ["mail-1"] })
        assert.deepStrictEqual(factOf(session, "Rows"), { label: "Rows", value: 2 })
        assert.notInclude(reportJson(session), "billing-agent")
        const halted = yield* compliance.generateArticle12({ sessionIds: ["order-4711"] })
        assert.include(reportJson(halted), "Refunds to the wrong accounts")
        const agent = yield* compliance.generateArticle12({ agentId: "mail-agent" })
        assert.deepStrictEqual(factOf(agent, "Rows"), { label: "Rows", value: 3 })
        const later = yield* compliance.generateArticle12({ fromMs: 4_000_000_000_000 })
        assert.deepStrictEqual(factOf(later, "Rows"), { label: "Rows", value: 0 })
        assert.isNull(later.generatedAt)
        // The clock of the test stands at 0, so a window that ends before has nothing, and one that ends there everything.
        const until = (toMs: number) => compliance.generateArticle12({ toMs })
        assert.deepStrictEqual(factOf(yield* until(-1), "Rows"), { label: "Rows", value: 0 })
        assert.deepStrictEqual(factOf(yield* until(0), "Rows"), factOf(yield* compliance.generateArticle12(), "Rows"))
        assert.isTrue(later.sections.every(({ status }) => status === "non_compliant"))
      }).pipe(Effect.provide(Logs.layer))
  )

  it.effect("a session or an agent without a row is an error, a pruned or missing one is not (CMP-07, CMP-13)", () => {
    const tree = new Trees.Tree()
    return Effect.gen(function* () {
      yield* Logs.day
      yield* tree.grow
      const compliance = yield* Compliance.Compliance
      const bad: ReadonlyArray<Compliance.ReportRequest> = [
        { sessionIds: ["nope"] },
        { sessionIds: ["mail-1", "nope"] },
        { agentId: "nope" },
        { sessionIds: ["mail-1"], agentId: "billing-agent" }
      ]
      for (const request of bad) {
        assert.strictEqual((yield* Effect.flip(compliance.examine(request)))._tag, "NotRecorded")
      }
      assert.strictEqual((yield* Effect.flip(compliance.generateSummary("nope")))._tag, "NotRecorded")
      const gone = yield* Effect.gen(function* () {
        const emptied = yield* Compliance.make
        return [
          yield* emptied.generateArticle12({ sessionIds: ["mail-1"] }),
          yield* emptied.generateArticle12({ agentId: "mail-agent" })
        ]
      }).pipe(Effect.provide([tree.layer(), Layer.fresh(MemoryAuditStore.layer)]))
      for (const report of gone) assert.deepStrictEqual(factOf(report, "Rows"), { label: "Rows", value: 0 })
    }).pipe(Effect.provide(Compliance.layer.pipe(Layer.provide(tree.layer()), Layer.provideMerge(Logs.log))))
  })

  it.effect("human oversight counts and lists every kind of act, rejected tokens of nobody too (CMP-16, GAT-02)", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const kinds = ["requested", "voted", "claimed", "granted", "denied", "expired", "consumed", "token_rejected"].map(
        (act) => `approval.${act}`
      )
      for (const kind of kinds) {
        yield* audit.log({ kind, agentId: "clerk", sessionId: "s1", metadata: { action: "refund", by: "rita" } })
      }
      const id = EventId.make("00000000-0000-4000-8000-000000000001")
      const facts = { by: "mallory", problem: "not_accepted" }
      yield* audit.submit(operatorDraft(id, 0, "approval.token_rejected", facts))
      const compliance = yield* Compliance.Compliance
      const report = yield* compliance.generateArticle12()
      const tableOf = (title: string) =>
        report.sections[5]!.data.flatMap((one) => ("columns" in one && one.title === title ? one.rows : []))
      assert.sameDeepMembers(
        [...tableOf("By kind")],
        kinds.map((kind) => [kind, kind === "approval.token_rejected" ? 2 : 1])
      )
      assert.strictEqual(tableOf("Decisions").length, kinds.length - 1)
      assert.deepStrictEqual(
        tableOf("Rejected tokens").map((row) => row.at(-1)),
        ["by rita", "by mallory: not_accepted"]
      )
      // Nobody knows whose it was: of one agent it says nothing.
      const one = yield* compliance.generateSummary("clerk")
      assert.deepStrictEqual(factOf(one, "Tokens that were rejected"), { label: "Tokens that were rejected", value: 1 })
    }).pipe(Effect.provide(Logs.layer))
  )

  it("a section is whole only with evidence in verified chains (CMP-06, OQ-10)", () => {
    assert.strictEqual(statusOf("all", "verified"), "compliant")
    assert.strictEqual(statusOf("some", "verified"), "partial")
    assert.strictEqual(statusOf("all", "unverified"), "partial")
    assert.strictEqual(statusOf("none", "verified"), "non_compliant")
    assert.strictEqual(statusOf("all", "failed"), "non_compliant")
  })

  it("chains are verified only where there are rows, a secret judged them, and all of them are right (CMP-02, L-10)", () => {
    const chain = (verdict: "ok" | "tampered" | "unverifiable", rows = 1) => ({
      chain: "agent:a",
      rows,
      lastSeq: rows,
      verdict,
      unjudged: verdict === "unverifiable" ? 1 : 0
    })
    const done = { breaks: 0, findings: [], error: null, authenticated: true }
    assert.strictEqual(integrityOf({ ...done, results: [chain("ok"), chain("ok", 0)] }), "verified")
    assert.strictEqual(integrityOf({ ...done, results: [chain("ok"), chain("unverifiable")] }), "unverified")
    assert.strictEqual(integrityOf({ ...done, results: [chain("unverifiable"), chain("tampered")] }), "failed")
    assert.strictEqual(integrityOf({ ...done, results: [chain("ok")], authenticated: false }), "unverified")
    assert.strictEqual(integrityOf({ ...done, results: [chain("tampered")], authenticated: false }), "failed")
    assert.strictEqual(integrityOf({ ...done, results: [chain("ok", 0)] }), "unverified")
    assert.strictEqual(integrityOf({ ...done, results: [] }), "unverified")
    assert.strictEqual(integrityOf({ ...done, results: [chain("ok")], error: "it broke" }), "unverified")
    assert.strictEqual(integrityOf(null), "unverified")
  })

  it.effect("verification says verified, failed or unverified, and what it found (CMP-02, CMP-14)", () =>
    Effect.gen(function* () {
      yield* Logs.day
      const compliance = yield* Compliance.Compliance
      assert.strictEqual((yield* compliance.generateArticle12()).chainIntegrityStatus, "unverified")
      assert.strictEqual((yield* compliance.generateArticle12({ verifyChain: true })).chainIntegrityStatus, "verified")
      const failed = yield* Effect.gen(function* () {
        const made = yield* Compliance.make
        return yield* made.generateArticle12({ verifyChain: true })
      }).pipe(
        Effect.provide(CheckpointProofs.layerNone),
        readingTampered({ row: (row) => (row.chain === "session:order-4711" && row.seq === 3 ? null : row) })
      )
      assert.strictEqual(failed.chainIntegrityStatus, "failed")
      assert.isTrue(failed.chainFindings.some((text) => text.includes("rows are missing or out of order")))
      assert.isTrue(failed.sections.every(({ status }) => status === "non_compliant"))
    }).pipe(Effect.provide(Logs.layer))
  )

  it.effect("verifyChain without an audit module is an error, never a report that looks verified (CMP-10)", () =>
    Effect.gen(function* () {
      const compliance = yield* Compliance.Compliance
      const error = yield* Effect.flip(compliance.generateArticle12({ verifyChain: true }))
      assert.strictEqual(error._tag, "InvalidInput")
      assert.include(error.message, "verifyChain")
      yield* compliance.generateArticle12()
    }).pipe(
      Effect.provide(
        Compliance.layer.pipe(
          Layer.provide(CheckpointProofs.layerNone),
          Layer.provide(Layer.merge(MemoryAuditStore.layer, SubjectKeyStore.layer)),
          Layer.provide(ChainKeys.layerTest)
        )
      )
    )
  )

  it.effect("a request that cannot be is a typed error (bad input)", () =>
    Effect.gen(function* () {
      const compliance = yield* Compliance.Compliance
      const bad: ReadonlyArray<Compliance.ReportRequest> = [
        { sessionIds: [] },
        { sessionIds: [""] },
        { sessionIds: ["x".repeat(300)] },
        { agentId: "" },
        { fromMs: 2, toMs: 1 },
        { fromMs: Number.NaN },
        { toMs: Number.POSITIVE_INFINITY },
        { fromMs: 0.5 }
      ]
      for (const request of bad) {
        assert.strictEqual((yield* Effect.flip(compliance.examine(request)))._tag, "InvalidInput")
      }
    }).pipe(Effect.provide(Logs.layer))
  )

  it.effect("it states range, checkpoint, coverage and what it does not cover (L-10, CMP-03, CMP-04, CMP-05)", () =>
    Effect.gen(function* () {
      yield* Logs.day
      const report = yield* (yield* Compliance.Compliance).generateArticle12({ verifyChain: true })
      assert.strictEqual(report.coverageCaveat, coverageCaveat)
      assert.isNull(report.coveragePct)
      assert.strictEqual(report.coveragePctReason, "registry_disabled")
      assert.isTrue(report.rotationAware)
      assert.strictEqual(report.timezone, "UTC")
      assert.isNull(report.checkpoint)
      assert.isTrue(report.notCovered[0]!.startsWith("No checkpoint covers these rows"))
      for (const text of [reportMarkdown(report), reportHtml(report)]) {
        assert.include(text, "none: nothing outside the database vouches")
        assert.include(text, "not measured")
        assert.include(text, "2026-08-02")
        assert.include(text, "2027-12-02")
      }
    }).pipe(Effect.provide(Logs.layer))
  )

  it.effect("with checkpoints it says up to which one, and how many rows lie behind it", () => {
    const tree = new Trees.Tree()
    return Effect.gen(function* () {
      yield* Logs.day
      yield* tree.grow
      yield* Logs.call(30)
      const report = yield* (yield* Compliance.Compliance).generateArticle12()
      assert.strictEqual(report.checkpoint?.size, 4)
      assert.isTrue(report.notCovered[0]!.startsWith("Rows after checkpoint 4: 2 of the rows read"))
      assert.include(reportMarkdown(report), "covers up to checkpoint 4")
    }).pipe(Effect.provide(Compliance.layer.pipe(Layer.provide(tree.layer()), Layer.provideMerge(Logs.log))))
  })

  it.effect("keeps apart what the law asks for and what this software adds, in every form (CMP-15, DEC-12)", () =>
    Effect.gen(function* () {
      yield* Logs.day
      const report = yield* (yield* Compliance.Compliance).generateArticle12()
      assert.deepStrictEqual(
        report.regulation.map(({ topic }) => topic),
        ["Automatic logging", "Keeping the logs", "Application date as published", "Application date as reported later"]
      )
      for (const { asKnownOn, source, statement } of report.regulation) {
        assert.match(asKnownOn, /^\d{4}-\d\d-\d\d$/)
        assert.notStrictEqual(source, "")
        // Tamper evidence is ours: no line about the law claims it.
        assert.notMatch(statement, /hash|signature|checkpoint|tamper/i)
      }
      for (const text of [reportMarkdown(report), reportHtml(report)]) {
        assert.include(text, "at least six months")
        assert.include(text, "additions of this software")
      }
    }).pipe(Effect.provide(Logs.layer))
  )

  it.effect("nothing that people read says that anybody is compliant (DEC-12, CMP-11)", () =>
    Effect.gen(function* () {
      yield* Logs.day
      const report = yield* (yield* Compliance.Compliance).generateArticle12({ verifyChain: true })
      const read = [reportMarkdown(report), reportHtml(report).replaceAll(/class="[^"]*"|<style>[^<]*<\/style>/g, "")]
      for (const text of read) assert.notMatch(text, /complian/i)
    }).pipe(Effect.provide(Logs.layer))
  )

  it.effect("lists are capped and say how many more there are", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      for (let i = 0; i < 130; i++) {
        yield* audit.log({ kind: "scope.violation", agentId: `a${i}`, metadata: { reason: `no ${i}` } })
      }
      const report = yield* (yield* Compliance.Compliance).generateArticle12()
      const refusals = report.sections[6]!.data.find((one) => "columns" in one && one.title === "Refusals")
      assert.strictEqual(refusals !== undefined && "more" in refusals ? refusals.more : 0, 30)
      assert.include(reportMarkdown(report), "… and 30 more.")
      assert.include(reportHtml(report), "… and 30 more.")
    }).pipe(Effect.provide(Logs.layer))
  )
})
