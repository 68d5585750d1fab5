import { defineConfig } from "vitest/config"

const shared = { env: { GOVERNANCE_TEST_MODE: "1" }, testTimeout: 30_000, hookTimeout: 60_000 }
const setUp = { globalSetup: ["test/support/postgres.setup.ts", "test/support/compiled.setup.ts"] }

/** `house` needs no database; `faults` is long and runs with `npm run test:faults` only. */
export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: { ...shared, name: "house", include: ["test/house/**/*.test.ts"] } },
      {
        test: {
          ...shared,
          ...setUp,
          name: "main",
          include: ["test/**/*.test.ts"],
          exclude: ["test/house/**", "test/**/*.long.test.ts"]
        }
      },
      {
        test: { ...shared, ...setUp, name: "faults", include: ["test/**/*.long.test.ts"], testTimeout: 1_800_000 }
      }
    ]
  }
})
