import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { figureOf, figureText } from "../../src/schema/Coverage.ts"
import { hostMatcher, isHostPattern, llmHosts } from "../../src/schema/LlmHosts.ts"
import { Coverage } from "../../src/services/Coverage.ts"
import { memory } from "../services/World.ts"

describe("Hosts that count as language models (BEY-13)", () => {
  const known = hostMatcher(llmHosts)

  it("are the well-known providers, regions and resources of a customer included", () => {
    for (const host of [
      "api.openai.com",
      "eu.api.openai.com",
      "api.openai.com:8443",
      "acme.openai.azure.com",
      "api.anthropic.com",
      "generativelanguage.googleapis.com",
      "us-central1-aiplatform.googleapis.com",
      "bedrock-runtime.eu-central-1.amazonaws.com",
      "api.mistral.ai",
      "api.groq.com",
      "openrouter.ai"
    ]) {
      assert.isTrue(known(host), host)
    }
  })

  it("are not hosts that only look like one", () => {
    for (const host of [
      "api.openai.com.evil.example",
      "notapi.openai.com",
      "api-openai-com",
      "openai.azure.com",
      "s3.eu-central-1.amazonaws.com",
      "bedrock-runtime.a.b.amazonaws.com",
      "storage.googleapis.com",
      "localhost",
      ""
    ]) {
      assert.isFalse(known(host), host)
    }
  })

  it("a port in a pattern counts only that one, and one that the protocol has anyway is none", () => {
    const matches = hostMatcher(["127.0.0.1:11434", "LLM.internal", "tls.internal:443", "[::1]:8000", "*.gpu.internal"])
    for (const host of [
      "127.0.0.1:11434",
      "llm.internal",
      "llm.internal:9",
      "tls.internal",
      "[::1]:8000",
      "a.b.gpu.internal"
    ]) {
      assert.isTrue(matches(host), host)
    }
    for (const host of [
      "127.0.0.1",
      "127.0.0.1:1143",
      "127.0.0.1:114341",
      "tls.internal:8443",
      "[::1]",
      "gpu.internal"
    ]) {
      assert.isFalse(matches(host), host)
    }
  })

  it("all patterns of the list can be written as options, and what is no host cannot (ERR-14)", () => {
    for (const pattern of [...llmHosts, "127.0.0.1:11434", "[::1]:8000", "localhost"])
      assert.isTrue(isHostPattern(pattern))
    for (const text of ["https://a.b", "a b", "a/b", "", "a:b", "(a+)+", "a".repeat(256)])
      assert.isFalse(isHostPattern(text))
  })

  it.effect("a wrong one in coverageHosts is a ConfigurationError at the start (ERR-14)", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(Coverage, memory({ coverageHosts: ["https://llm.internal/v1"] })))
      assert.deepInclude(error, { _tag: "ConfigurationError", setting: "coverageHosts" })
    })
  )
})

describe("The figure (BEY-13, CMP-04)", () => {
  it("is the share over all instances, never rounded up to all", () => {
    assert.strictEqual(
      figureText(
        figureOf([
          { governed: 7, calls: 8 },
          { governed: 3, calls: 4 }
        ])
      ),
      "83.3 %"
    )
    assert.strictEqual(figureText(figureOf([{ governed: 57, calls: 100 }])), "57 %")
    assert.strictEqual(figureText(figureOf([{ governed: 99_999, calls: 100_000 }])), "99.9 %")
    assert.strictEqual(figureText(figureOf([{ governed: 4, calls: 4 }])), "100 %")
    assert.strictEqual(figureText(figureOf([{ governed: 0, calls: 4 }])), "0 %")
  })

  it("is null with its reason where nothing was measured", () => {
    assert.deepInclude(figureOf([]), { coveragePct: null, coveragePctReason: "registry_disabled" })
    assert.deepInclude(figureOf([{ governed: 0, calls: 0 }]), { coveragePct: null, coveragePctReason: "no_calls_seen" })
    assert.match(figureText(figureOf([])), /enableCoverage/)
  })
})
