import type { PolicyInput } from "../../src/schema/Policy.ts"

/** What a test asks of a worker process; plain JSON, so that it crosses IPC. */
export type Command =
  | {
      readonly do: "policies"
      readonly agent: string
      readonly scope?: PolicyInput<"scope">
      readonly budget?: PolicyInput<"budget">
      readonly audit?: PolicyInput<"audit">
      readonly gate?: PolicyInput<"gate">
      readonly operator?: string
    }
  /** `count` events over `chains` sessions; each is tried until it is acknowledged. `log` may leave it to the fallback. */
  | {
      readonly do: "append"
      readonly sessions: string
      readonly chains: number
      readonly count: number
      readonly fibers: number
      readonly how: "require" | "log"
    }
  /** `callers` governed calls at once, each lasting `lastsMs`. */
  | {
      readonly do: "admit"
      readonly agent: string
      readonly session: string
      readonly callers: number
      readonly maxUsd: string
      readonly lastsMs: number
    }
  /** A governed call that runs a promise until it is released, halted or killed; answers when it is admitted. */
  | { readonly do: "hold"; readonly agent: string; readonly session: string; readonly maxUsd: string }
  | { readonly do: "release"; readonly ticket: string }
  /** How a held call ended, when it has ended. */
  | { readonly do: "outcome"; readonly ticket: string }
  /** Asks for the approval of `pay` with `{n}`, for each n below `count`, and does not wait. */
  | { readonly do: "ask"; readonly agent: string; readonly count: number }
  /** That many different people grant one token at once. */
  | { readonly do: "grant"; readonly token: string; readonly racers: number }
  /** That many callers use the approval of `{n}` at once. */
  | { readonly do: "use"; readonly agent: string; readonly n: number; readonly racers: number }
  /** Makes the call `pay` with `{n}`, waits for its approval, then writes a line to `file`; with `stops` it never comes to that. */
  | { readonly do: "pay"; readonly agent: string; readonly n: number; readonly file: string; readonly stops: boolean }
  /** What waits for a person. */
  | { readonly do: "cards"; readonly agent: string }
  | { readonly do: "delegate"; readonly parent: string; readonly child: string }
  | { readonly do: "halt"; readonly agent: string }
  | { readonly do: "resume"; readonly agent: string }
  | { readonly do: "heartbeat"; readonly agent: string }
  | { readonly do: "sweep" }
  | { readonly do: "stats" }
  /** What the process seals with now, and a token's MAC under a key of before. */
  | { readonly do: "keys"; readonly under: string }
  /** Keeps the event loop busy. */
  | { readonly do: "block"; readonly ms: number }
  /** Allocates until the heap limit kills the process. */
  | { readonly do: "exhaust" }
  | { readonly do: "stop" }

export interface Answers {
  readonly policies: null
  readonly append: {
    readonly acknowledged: number
    readonly retries: number
    readonly latenciesUs: ReadonlyArray<number>
  }
  readonly admit: { readonly admitted: number; readonly refused: Readonly<Record<string, number>> }
  readonly hold: { readonly ticket: string }
  readonly release: null
  readonly outcome: { readonly end: string; readonly abortedNs: string | null }
  readonly ask: { readonly tokens: ReadonlyArray<string> }
  readonly grant: { readonly granted: number }
  readonly use: { readonly ran: number }
  readonly pay: { readonly end: string }
  readonly cards: {
    readonly cards: ReadonlyArray<{
      readonly request: string
      readonly token: string
      readonly earlier: string | null
      readonly outcome: string | null
    }>
  }
  readonly delegate: null
  readonly halt: { readonly invokedNs: string; readonly completedNs: string }
  readonly resume: null
  readonly heartbeat: null
  readonly sweep: { readonly recovered: number; readonly orphaned: number }
  readonly stats: { readonly waiting: number; readonly appended: number; readonly spooled: number }
  readonly keys: { readonly current: string; readonly mac: string | null }
  readonly block: null
  readonly exhaust: null
  readonly stop: null
}

export type AnswerOf<C extends Command> = Answers[C["do"]]

export interface Asked {
  readonly id: number
  readonly command: Command
}
export type Told =
  | { readonly id: number; readonly value: Answers[Command["do"]] }
  | { readonly id: number; readonly error: string }
  | { readonly ready: true }
