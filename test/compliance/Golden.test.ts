import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { bundleCover } from "../../src/schema/BundleCover.ts"
import { reportHtml } from "../../src/schema/ReportHtml.ts"
import { reportJson, reportMarkdown } from "../../src/schema/ReportText.ts"
import { formatVerifierKey } from "../../src/schema/SignedNote.ts"
import { Audit } from "../../src/services/Audit.ts"
import { sha256 } from "../../src/services/CheckpointKey.ts"
import * as Compliance from "../../src/services/Compliance.ts"
import * as Logs from "./Logs.ts"
import * as Trees from "./Trees.ts"

/** Compares with a file beside this one; `vitest -u` writes it, and then a person reads the difference. */
const same = (name: string, text: string) => Effect.promise(() => expect(text).toMatchFileSnapshot(`golden/${name}`))

const start = Date.parse("2027-01-15T08:00:00.000Z")

describe("reports as people get them", () => {
  it.effect("of a day with a checkpoint are these, byte for byte (L-10, CMP-01, CMP-11, DEC-12)", () => {
    const tree = new Trees.Tree()
    return Effect.gen(function* () {
      const audit = yield* Audit
      yield* TestClock.setTime(start)
      yield* Logs.day
      yield* TestClock.adjust("90 seconds")
      yield* tree.grow
      yield* Logs.call(6)
      yield* audit.log({
        kind: "approval.denied",
        id: "00000000-0000-8000-8000-000000000200",
        agentId: "billing-agent",
        sessionId: "order-4711",
        metadata: {
          action: `refund <b>everything</b> \u202eyenom ${"and more ".repeat(60)}`,
          by: "bob@example.com | not carol",
          reason: "[click](javascript:alert(1))\n# no"
        }
      })
      const compliance = yield* Compliance.Compliance
      const article12 = yield* compliance.generateArticle12({ verifyChain: true })
      yield* same("article12.md", reportMarkdown(article12))
      yield* same("article12.html", reportHtml(article12))
      yield* same("article12.json", reportJson(article12))
      yield* same("cover.html", bundleCover(article12, formatVerifierKey(Trees.key, sha256)))
      yield* same("summary.md", reportMarkdown(yield* compliance.generateSummary("mail-agent")))
    }).pipe(Effect.provide(Compliance.layer.pipe(Layer.provide(tree.layer()), Layer.provideMerge(Logs.log))))
  })

  it.effect("of an empty log say that there is nothing, and claim nothing (L-10, OQ-10)", () =>
    Effect.gen(function* () {
      const compliance = yield* Compliance.Compliance
      const empty = yield* compliance.generateArticle12({ verifyChain: true })
      yield* same("empty.md", reportMarkdown(empty))
      yield* same("empty.html", reportHtml(empty))
    }).pipe(Effect.provide(Logs.layer))
  )
})
