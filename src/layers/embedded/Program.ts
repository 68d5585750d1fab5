import { spawn } from "node:child_process"
import { Effect, type Option } from "effect"
import { EmbeddedPostgresError } from "./EmbeddedPostgresError.ts"
import { asAccount, type ServerAccount, serverEnvironment } from "./ServerAccount.ts"

/** Runs one of PostgreSQL's programs to its end in `cwd`, as the server's account; interruption kills it. */
export const runProgram = (options: {
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  readonly account: Option.Option<ServerAccount>
  readonly input: string
}) =>
  Effect.callback<string, EmbeddedPostgresError>((resume) => {
    const child = spawn(options.program, options.args, {
      cwd: options.cwd,
      env: serverEnvironment,
      stdio: "pipe",
      ...asAccount(options.account)
    })
    const said: Array<string> = []
    const fail = (detail: string) =>
      resume(new EmbeddedPostgresError({ operation: "initialise", problem: "directory", subject: options.cwd, detail }))
    child.stdout.on("data", (chunk: Buffer) => said.push(chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => said.push(chunk.toString()))
    child.stdin.on("error", () => {})
    child.on("error", (error) => fail(error.message))
    child.on("close", (code) => (code === 0 ? resume(Effect.succeed(said.join(""))) : fail(lastLines(said.join("")))))
    child.stdin.end(options.input)
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const lastLines = (text: string): string => text.trim().split("\n").slice(-3).join(" ").slice(0, 500)
