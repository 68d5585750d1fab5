import { defineConfig } from "vitest/config"
import { modes } from "./test/bridged/Mode.ts"
import { bridged } from "./test/bridged/plugin.ts"

const shared = { env: { GOVERNANCE_TEST_MODE: "1" }, testTimeout: 30_000, hookTimeout: 60_000 }
const setUp = { globalSetup: ["test/support/postgres.setup.ts", "test/support/compiled.setup.ts"] }

/** Where tests build governance; those of the bridge and of the platform have their own platforms. */
const governing = [
  ...["audit", "checkpoints", "cli", "compliance", "demo", "gates", "governor", "identity", "integrations", "live"],
  ...["loop", "measured", "memory", "postgres", "pricing", "promise", "replay", "retention", "rotation", "services"]
]
/** These govern in processes that they start, from the compiled package or the command line. */
const otherProcesses = ["test/promise/Apps.test.ts", "test/promise/Types.test.ts", "test/cli/Process.test.ts"]

/**
 * `house` needs no database; `faults` is long and runs with `npm run test:faults` only. The others
 * are the local tests once more with a bridge whose platform is latched, hanging or gone (B-19).
 */
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
      },
      ...modes.map((mode) => ({
        plugins: [bridged],
        test: {
          ...shared,
          env: { ...shared.env, GOVERNANCE_BRIDGED: mode },
          globalSetup: [...setUp.globalSetup, "test/bridged/setup.ts"],
          name: mode,
          include: governing.map((folder) => `test/${folder}/**/*.test.ts`),
          exclude: ["test/**/*.long.test.ts", ...otherProcesses]
        }
      }))
    ]
  }
})
