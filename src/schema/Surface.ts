/**
 * What a public method does when its store does not answer (RES-01 to RES-03). `enforcement` refuses or fails, `observation`
 * warns and goes on, `operation` is an act of a person or of the program's start: it fails, and says so.
 */
export type Surface = "enforcement" | "observation" | "operation"

/** Every public method by service. A method that is missing here fails the test that walks the services. */
export const surfaces = {
  Governor: { admit: "enforcement", run: "enforcement" },
  AgentScope: {
    register: "operation",
    check: "enforcement",
    /** Runs nothing: what it leaves in is checked when it is called. */
    filterTools: "observation",
    requireTool: "enforcement",
    room: "enforcement"
  },
  Cost: {
    register: "operation",
    checkOrFail: "enforcement",
    preflight: "enforcement",
    /** An unknown model fails; the store never does (C-08). */
    trackUsage: "observation",
    track: "observation",
    reconcile: "observation",
    snapshot: "observation",
    modelBreakdown: "observation",
    hold: "enforcement"
  },
  Contracts: {
    register: "operation",
    registerCheck: "operation",
    contractsOf: "operation",
    checkPre: "enforcement",
    checkPost: "enforcement",
    enforce: "enforcement"
  },
  Loop: { register: "operation", recordCall: "enforcement", check: "observation" },
  Presence: {
    heartbeat: "observation",
    markIdle: "observation",
    closeAgent: "observation",
    listAgents: "observation",
    checkStale: "observation",
    isHalted: "observation",
    assertNotHalted: "enforcement",
    forceRefreshHaltedCache: "observation",
    halt: "operation",
    resume: "operation",
    delegate: "operation"
  },
  Coverage: { send: "observation", enclose: "observation", governed: "observation", report: "observation" },
  Prompts: {
    register: "operation",
    activate: "operation",
    rollback: "operation",
    list: "operation",
    history: "operation",
    diff: "operation",
    get: "operation",
    use: "operation"
  },
  /** It refuses nothing: without the store every call keeps its model. */
  Routing: { register: "operation", suggest: "observation" },
  Gates: {
    /** Fails for a halt alone (GAT-01). */
    request: "observation",
    waitFor: "enforcement",
    grant: "operation",
    deny: "operation",
    list: "operation",
    claim: "operation",
    hasGrantedApproval: "operation",
    /** Looks, and uses nothing up. */
    standing: "operation",
    approvedFor: "enforcement",
    editedArguments: "operation",
    cleanupResolved: "operation"
  },
  Audit: {
    log: "observation",
    note: "observation",
    submit: "observation",
    submitNow: "observation",
    require: "enforcement",
    requireInTransaction: "enforcement",
    track: "observation",
    getEvents: "operation",
    traceSessionChain: "operation",
    trace: "operation",
    verifyChain: "operation",
    report: "operation",
    subscribe: "observation",
    tail: "operation",
    stats: "observation"
  },
  AgentKeys: {
    list: "operation",
    challenge: "operation",
    register: "operation",
    enrol: "operation",
    revoke: "operation"
  }
} as const satisfies Record<string, Record<string, Surface>>
