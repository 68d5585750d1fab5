import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import generator from "../../scripts/generators/prices.ts"
import { priceRows, priceSource } from "../../src/schema/prices.generated.ts"

const root = join(import.meta.dirname, "../..")

describe("The generated price table", () => {
  test("DEC-08: it is what the generator makes of the installed package", async () => {
    expect((await generator.generate()) === readFileSync(join(root, generator.output), "utf8")).toBe(true)
  })

  test("OQ-03: it says which edition it is, and is small enough to ship", () => {
    expect(priceSource).toMatchObject({ name: "@pydantic/genai-prices", version: "0.1.8", date: "2026-09-23" })
    expect(priceSource.sha256).toMatch(/^[0-9a-f]{64}$/)
    expect(readFileSync(join(root, generator.output)).length).toBeLessThan(200_000)
  })

  test("CST-09: OpenAI, Anthropic, Google and Mistral are in it, and Meta by the hosts that serve it", () => {
    const count = (provider: string) => priceRows.find(([id]) => id === provider)?.[2].length ?? 0
    expect(count("openai")).toBeGreaterThan(70)
    expect(count("anthropic")).toBeGreaterThan(20)
    expect(count("google")).toBeGreaterThan(40)
    expect(count("mistral")).toBeGreaterThan(25)
    const llamas = priceRows.flatMap(([provider, , models]) =>
      models.filter(([id]) => /llama/i.test(id)).map(() => provider)
    )
    expect(new Set(llamas).size).toBeGreaterThan(8)
  })

  test("DEC-07: every rate is a whole number of pico-USD, and no model has a free input", () => {
    for (const [provider, , models] of priceRows) {
      for (const [id, , prices] of models) {
        expect(prices[0]?.[0], `${provider}/${id}`).toBe("")
        for (const [, tiers] of prices) {
          for (const [above, input, ...others] of tiers) {
            expect(
              Number.isSafeInteger(above) && Number(input) > 0 && Number.isSafeInteger(input),
              `${provider}/${id}`
            ).toBe(true)
            expect(others.every((rate) => Number.isSafeInteger(rate) && rate >= -1)).toBe(true)
          }
        }
      }
    }
  })
})
