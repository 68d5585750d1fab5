// Only a context that follows the request through promises says whose it is without a header that the provider would see.
import { AsyncLocalStorage } from "node:async_hooks"
import { maxHosts } from "../schema/Coverage.ts"

/** What one process has seen of one host. */
export interface HostTally {
  readonly host: string
  readonly governed: number
  /** All of them, the governed ones included; only grows. */
  readonly calls: number
  /** Those that nothing in this process can still claim. */
  readonly raw: number
}

export interface GovernedRequests {
  /** Runs a request that governance has admitted. `host` is `host` or `host:port`. */
  readonly send: <A>(host: string, send: () => Promise<A>) => Promise<A>
  /** Every request that begins inside belongs to one governed call, as long as that is open: where its URL is not known before. */
  readonly enclose: <A>(isOpen: () => boolean, run: () => A) => A
  /** Counts a governed call that could not be sent through `send`: one raw call to its host is taken for it. */
  readonly governed: (host: string) => void
  /** A request to this host begins, seen from where it begins. */
  readonly seen: (host: string) => void
  readonly tally: () => ReadonlyArray<HostTally>
}

/** Tells governed requests from raw ones, host by host. Plain and synchronous: it runs in the middle of the host's requests. */
export const make = (isKnown: (host: string) => boolean): GovernedRequests => {
  const hosts = new Map<string, Counts>()
  const countsOf = (host: string): Counts | undefined => {
    const known = hosts.get(host)
    if (known !== undefined) return known
    if (!isKnown(host)) return undefined
    // Names with a wildcard have no end; what comes late is counted together.
    const key = hosts.size < maxHosts ? host : otherHosts
    const counts = hosts.get(key) ?? { marked: 0, claimed: 0, unmarked: 0, open: 0 }
    hosts.set(key, counts)
    return counts
  }

  const send = <A>(host: string, run: () => Promise<A>): Promise<A> => {
    const counts = countsOf(host)
    // A wrapper inside a wrapper sends the same request: it is one call.
    if (counts === undefined || isOpen(marks.getStore())) return run()
    const mark: Mark = { counts, seen: false, open: true }
    const before = counts.unmarked
    counts.open++
    const close = (answered: boolean) => {
      mark.open = false
      if (mark.seen) return
      counts.open--
      if (!answered) return
      // It was sent after all: on sockets of its own, or, if an unmarked request began meanwhile, where the context did not reach.
      if (counts.unmarked > before) counts.claimed++
      else counts.marked++
    }
    // What is thrown before there is a promise becomes its rejection.
    return marks
      .run(mark, () => new Promise<A>((resolve) => resolve(run())))
      .then(
        (answer) => {
          close(true)
          return answer
        },
        (error) => {
          close(false)
          return Promise.reject(error)
        }
      )
  }

  return {
    send,
    enclose: (isOpen, run) => marks.run({ isOpen }, run),
    governed: (host) => {
      const counts = countsOf(host)
      if (counts !== undefined) counts.claimed++
    },
    seen: (host) => {
      const mark = marks.getStore()
      if (mark !== undefined && "isOpen" in mark && mark.isOpen()) {
        const counts = countsOf(host)
        if (counts !== undefined) counts.marked++
        return
      }
      // A socket remembers the context of the request that opened it; once that is answered it claims nothing any more.
      if (mark !== undefined && "open" in mark && mark.open) {
        // A redirect or a second attempt of the transport belongs to the same call.
        if (mark.seen) return
        mark.seen = true
        mark.counts.open--
        mark.counts.marked++
        return
      }
      const counts = countsOf(host)
      if (counts !== undefined) counts.unmarked++
    },
    tally: () =>
      [...hosts].map(([host, { claimed, marked, open, unmarked }]) => ({
        host,
        governed: marked + claimed,
        calls: marked + Math.max(claimed, unmarked),
        raw: Math.max(0, unmarked - claimed - open)
      }))
  }
}

/** Under which the hosts beyond the first 256 are counted. */
export const otherHosts = "*"

interface Counts {
  /** Sent by `send`. */
  marked: number
  /** Governed, and seen among the unmarked if at all. */
  claimed: number
  /** Seen outside of `send`. */
  unmarked: number
  /** Inside `send`, and not seen yet. */
  open: number
}

interface Mark {
  readonly counts: Counts
  seen: boolean
  open: boolean
}

/** A call whose requests are not known one by one. */
interface Enclosure {
  readonly isOpen: () => boolean
}

const isOpen = (mark: Mark | Enclosure | undefined): boolean =>
  mark !== undefined && ("isOpen" in mark ? mark.isOpen() : mark.open)

/** One for the process, so that two governances in it do not take each other's requests for raw ones. */
const marks = new AsyncLocalStorage<Mark | Enclosure>()
