import { percentile } from "./Halting.ts"

/** Prints what a long run measured: facts for the documents, asserted by nobody. */
export const tell = (name: string, facts: Readonly<Record<string, unknown>>) =>
  console.log(
    `FACT ${name} ${JSON.stringify(facts, (_, value) => (typeof value === "number" ? Math.round(value * 100) / 100 : value))}`
  )

export const spread = (values: ReadonlyArray<number>) => ({
  n: values.length,
  p50: percentile(values, 0.5),
  p99: percentile(values, 0.99),
  max: Math.max(...values)
})
