import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import type { BridgeStats } from "../../src/schema/BridgeStats.ts"
import { type Mode, modes } from "./Mode.ts"

/** The platform of a run with a bridge; and at its end whether there was any bridge, and whether it was as it should (B-19). */
export default async function setup(project: TestProject) {
  const mode = modes.find((one) => one === project.config.env.GOVERNANCE_BRIDGED)
  if (mode === undefined) throw new Error("a project with a bridge names what its platform is like")
  const directory = mkdtempSync(join(tmpdir(), "bridged-"))
  const platform = await opened(mode)
  project.provide("bridged", { mode, port: platform.port, directory })
  return async () => {
    const read = (which: "begun" | "ended") =>
      readdirSync(directory)
        .filter((file) => file.startsWith(which))
        .flatMap((file) => readFileSync(join(directory, file), "utf8").trim().split("\n"))
        .map((line): BridgeStats => JSON.parse(line))
    const [begun, ended] = [read("begun"), read("ended")]
    rmSync(directory, { recursive: true })
    await platform.close()
    judge(mode, platform.asked(), begun, ended)
  }
}

const opened = async (mode: Mode) => {
  const sockets = new Set<Socket>()
  let asked = 0
  const server = createServer((request, response) => {
    asked++
    request.resume()
    if (mode === "latched") response.writeHead(401, { "content-type": "application/json" }).end("{}")
  })
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const close = () =>
    new Promise<void>((resolve) => {
      for (const socket of sockets) socket.destroy()
      server.close(() => resolve())
    })
  if (mode === "refusing") await close()
  return { port, close, asked: () => asked }
}

/** At the end of its test: an answer is waited for still, or was not in the ten seconds that it may take. */
const waits = ({ dropped5xx, inFlight }: BridgeStats) => inFlight + dropped5xx > 0

const judge = (mode: Mode, asked: number, begun: ReadonlyArray<BridgeStats>, ended: ReadonlyArray<BridgeStats>) => {
  const total = (of: (stats: BridgeStats) => number) => ended.reduce((sum, stats) => sum + of(stats), 0)
  // One event of each bridge was no test's.
  const copies = total(({ enqueued }) => enqueued - 1)
  const gates = total(({ gateForwardsDropped }) => gateForwardsDropped)
  console.log(`${mode}: ${begun.length} bridges, ${copies} events and ${gates} gates of the tests, ${asked} requests`)
  const problems = [
    ...(begun.length === 0 ? ["no test carried a bridge"] : []),
    ...(copies === 0 ? ["no event of a test reached a bridge"] : []),
    ...(total(({ sent }) => sent) > 0 ? ["a platform took something"] : []),
    ...(mode === "latched" && !ended.every(({ disabled }) => disabled) ? ["a bridge was not latched"] : []),
    // The one that was answered 401; after it a latched bridge asks nothing, whatever happens (BRG-08).
    ...(mode === "latched" && asked !== begun.length ? ["a latched bridge went on asking"] : []),
    ...(mode === "hanging" && asked === 0 ? ["nobody came to the platform that hangs"] : []),
    ...(mode === "hanging" && !ended.every(waits) ? ["a bridge did not hang"] : []),
    ...(mode === "refusing" && asked > 0 ? ["a closed port answered"] : [])
  ]
  if (problems.length > 0) throw new Error(`${mode}: ${problems.join("; ")}`)
}
