import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schedule } from "effect"

/** Where distributions put it. */
export const binary = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
  existsSync(path)
)

/** A page in a headless Chromium of the test's own, driven over its DevTools protocol. */
export const open = Effect.gen(function* () {
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-governance-browser-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 10 }))
  )
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        binary ?? "chromium",
        [
          "--headless",
          "--no-sandbox",
          "--disable-gpu",
          "--disable-dev-shm-usage",
          "--no-first-run",
          "--remote-debugging-port=0",
          `--user-data-dir=${home}`,
          "about:blank"
        ],
        { stdio: "ignore" }
      )
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        child.once("exit", () => resume(Effect.void))
        if (child.exitCode !== null || !child.kill("SIGKILL")) resume(Effect.void)
      })
  )
  const port = yield* Effect.retry(
    Effect.try(() => readFileSync(join(home, "DevToolsActivePort"), "utf8").split("\n")[0]),
    { times: 600, schedule: Schedule.spaced("50 millis") }
  )
  const targets = yield* Effect.promise(async () => (await fetch(`http://127.0.0.1:${port}/json`)).json())
  const found = (targets as ReadonlyArray<{ type: string; webSocketDebuggerUrl: string }>).find(
    ({ type }) => type === "page"
  )
  const socket = new WebSocket(found?.webSocketDebuggerUrl ?? "")
  yield* Effect.promise(() => new Promise((done) => socket.addEventListener("open", done, { once: true })))
  const said: Array<string> = []
  let id = 0
  const waiting = new Map<number, (result: Record<string, unknown>) => void>()
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(String(data)) as { id?: number; method?: string; result?: Record<string, unknown> }
    if (message.id !== undefined) waiting.get(message.id)?.(message.result ?? {})
    else if (message.method === "Log.entryAdded" || message.method === "Runtime.exceptionThrown")
      said.push(String(data))
  })
  const call = (method: string, params: object = {}) =>
    Effect.promise(
      () =>
        new Promise<Record<string, unknown>>((done) => {
          waiting.set(++id, done)
          socket.send(JSON.stringify({ id, method, params }))
        })
    )
  for (const domain of ["Page", "Log", "Runtime"]) yield* call(`${domain}.enable`)
  const evaluate = (expression: string) =>
    Effect.map(
      call("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true }),
      ({ result }) => (result as { value?: unknown } | undefined)?.value
    )

  return {
    /** What the browser complained about: scripts that failed or were refused. */
    said,
    evaluate,
    goTo: (url: string) => Effect.andThen(call("Page.navigate", { url }), evaluate("document.title")),
    cookies: Effect.map(
      call("Network.getAllCookies"),
      ({ cookies }) => cookies as ReadonlyArray<Record<string, unknown>>
    ),
    screenshot: Effect.map(call("Page.captureScreenshot"), ({ data }) => Buffer.from(String(data), "base64")),
    /** Until the visible text of the page has this in it. */
    sees: (text: string) =>
      Effect.gen(function* () {
        for (let tries = 0; tries < 400; tries++) {
          const shown = String(yield* evaluate("document.body.innerText"))
          if (shown.includes(text)) return shown
          yield* Effect.sleep("25 millis")
        }
        return yield* Effect.die(
          new Error(`never saw "${text}": ${yield* evaluate("document.body.innerText")} ${said}`)
        )
      })
  }
})
