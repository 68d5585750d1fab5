import { existsSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { read, root } from "./Tree.ts"

const manifest: {
  readonly exports: Record<string, string | { readonly default: string }>
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly optionalDependencies: Record<string, string>
} = JSON.parse(read("package.json"))

describe("the package", () => {
  it("exports exactly this: a change here is a change for its users", () => {
    assert.deepStrictEqual(Object.keys(manifest.exports), [
      ".",
      "./memory",
      "./postgres",
      "./embedded",
      "./openai",
      "./anthropic",
      "./ai-sdk",
      "./langchain",
      "./openai-agents",
      "./ai",
      "./mcp",
      "./otel",
      "./agent-framework",
      "./bridge",
      "./platform",
      "./platform/stores",
      "./promise",
      "./schema/*",
      "./testing/*",
      "./migrations/*",
      "./package.json"
    ])
  })

  it("has a source file for every export that is no pattern", () => {
    const missing = Object.values(manifest.exports)
      .map((target) => (typeof target === "string" ? target : target.default))
      .filter((target) => target.startsWith("./dist/") && !target.includes("*"))
      .map((target) => target.replace("./dist/", "src/").replace(/\.js$/, ".ts"))
      .filter((file) => !existsSync(join(root, file)))
    assert.deepStrictEqual(missing, [])
  })

  it("pins every dependency to one version (L-12)", () => {
    const loose = Object.entries({
      ...manifest.dependencies,
      ...manifest.devDependencies,
      ...manifest.optionalDependencies
    })
      .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
      .map(([name]) => name)
    assert.deepStrictEqual(loose, [])
  })

  it("exports these names from its root", async () => {
    const names = Object.keys(await import("../../src/index.ts")).sort()
    assert.deepStrictEqual(names, expected)
  })
})

const expected = [
  "AgentHaltedError",
  "AgentKeyRefused",
  "AgentKeyUnusable",
  "AgentKeys",
  "AgentScope",
  "AgentStatus",
  "ApprovalDenied",
  "ApprovalPending",
  "ApprovalTimeout",
  "ApprovalTokenError",
  "Audit",
  "AuditEvent",
  "AuditRecord",
  "BudgetExceeded",
  "BudgetPolicy",
  "BundleRefused",
  "BundleVerifier",
  "Bundles",
  "ChainIntegrityError",
  "ChainKeys",
  "CheckpointContradicted",
  "CheckpointSink",
  "CheckpointSinkError",
  "Checkpoints",
  "Compliance",
  "ComplianceReport",
  "ConfigurationError",
  "Contract",
  "ContractViolation",
  "Contracts",
  "Cost",
  "Coverage",
  "DeclaredMaximumExceeded",
  "DelegationError",
  "EgressFailed",
  "EgressRefused",
  "Erasure",
  "EventIdConflict",
  "Gates",
  "Governance",
  "GovernanceClosed",
  "GovernanceError",
  "Governor",
  "HaltPersistenceError",
  "Halts",
  "Host",
  "InvalidAuditEvent",
  "InvalidInput",
  "KeyRotation",
  "LegalHolds",
  "Loop",
  "LoopDetected",
  "LoopPolicy",
  "ModuleDisabledError",
  "NotRecorded",
  "OtherChainKey",
  "OtherIdentity",
  "Policies",
  "PolicyNotRegistered",
  "PostCondition",
  "PreCondition",
  "Presence",
  "Pricing",
  "PromptNotFound",
  "Prompts",
  "ReportSection",
  "Retention",
  "RetentionRefused",
  "RolledBack",
  "RotationRefused",
  "Routing",
  "RoutingPolicy",
  "ScopePolicy",
  "ScopeViolation",
  "Settings",
  "StoreError",
  "SubjectKeys",
  "Sweep",
  "TokenVersionTooOldError",
  "UngovernedCall",
  "UnknownModelError",
  "governTool",
  "governed",
  "governedFetch",
  "governedStream",
  "governedTool",
  "isGovernanceError",
  "isHaltError",
  "sealed",
  "useTool"
]
