import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { randomOf } from "../schema/SecretKinds.ts"
import { type Document, misfit, type Operation, valueOf } from "./Fuzz.ts"
import { generousPlatform, person, send, tenant } from "./Serving.ts"

const seed = Number(process.env.FUZZ_SEED ?? 20261121)
const rounds = Number(process.env.FUZZ_ROUNDS ?? 60)

layer(generousPlatform, { excludeTestServices: true, timeout: "300 seconds" })(
  "The platform's API, from its own document",
  (it) => {
    it.effect(
      `answers ${rounds} rounds of good and bad requests without a 500 and only with what its contract says`,
      () =>
        Effect.gen(function* () {
          const random = randomOf(seed)
          const { body } = yield* send("GET", "/openapi.json")
          const document = body as Document
          const { token, workflow, workspace } = yield* tenant()
          const { cookie } = yield* person(workspace, "admin")
          const known: Record<string, string> = { workspace, workflow }
          const statuses = new Map<number, number>()

          const once = Effect.fnUntraced(function* (path: string, method: string, operation: Operation, round: number) {
            const badness = [0, 60, 250][round % 3]!
            const value = (name: string, schema: object) =>
              known[name] !== undefined && random("01", 1) === "1"
                ? known[name]
                : String(valueOf({ ...schema }, document, random, badness))
            const parameters = (where: string) =>
              (operation.parameters ?? []).filter(
                (one) => one.in === where && (one.required || random("01", 1) === "1")
              )
            const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
              const found = operation.parameters?.find((one) => one.in === "path" && one.name === name)
              return encodeURIComponent(value(name, found?.schema ?? {}).toWellFormed()) || "x"
            })
            const query = parameters("query")
              .map(({ name, schema }) => `${name}=${encodeURIComponent(value(name, schema).toWellFormed())}`)
              .join("&")
            const headers = Object.fromEntries(
              parameters("header").map(({ name, schema }) => [
                name,
                value(name, schema).replaceAll(/[^\x20-\x7e]/g, "") || "x"
              ])
            )
            const schema = operation.requestBody?.content["application/json"]?.schema
            const given = schema === undefined ? undefined : valueOf(schema, document, random, badness)
            const text =
              given === undefined
                ? undefined
                : round % 11 === 10
                  ? JSON.stringify(given).slice(1)
                  : JSON.stringify(given)
            const credentials = random("0123456789", 1) === "0" ? {} : { token, cookie }
            // Signing out is tried without a session, or nothing would be left to try.
            const own = path.endsWith("/session") ? {} : credentials
            const answer = yield* send(method.toUpperCase() as "GET", query === "" ? filled : `${filled}?${query}`, {
              ...own,
              headers,
              ...(text === undefined ? {} : { text })
            })
            statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
            const where =
              `${method} ${filled}?${query} ${text ?? ""} -> ${answer.status} ${JSON.stringify(answer.body)}`.slice(
                0,
                2_000
              )
            assert.isBelow(answer.status, 500, where)
            // Before any route: a body that is too long or packed.
            if ([413, 415].includes(answer.status)) return
            const said = operation.responses[String(answer.status)]
            assert.isDefined(said, `not in the contract: ${where}`)
            const shape = said?.content?.["application/json"]?.schema
            if (shape !== undefined) assert.isUndefined(misfit(answer.body, shape, document), where)
          })

          for (let round = 0; round < rounds; round++) {
            for (const [path, methods] of Object.entries(document.paths)) {
              for (const [method, operation] of Object.entries(methods)) yield* once(path, method, operation, round)
            }
          }
          // A fuzzer that is turned away at the door proves nothing.
          for (const status of [200, 201, 202, 400, 401, 404, 409]) {
            assert.isAbove(statuses.get(status) ?? 0, 0, `${status} never came: ${JSON.stringify([...statuses])}`)
          }
        })
    )
  }
)
