import { assert, describe, it } from "@effect/vitest"
import { type ClientWorld, openWorld, until } from "./ClientWorld.ts"
import { callOf, methodsOf, type ResourceTable, verdicts } from "./SdkMethods.ts"

export interface MethodClient {
  readonly name: string
  readonly table: ResourceTable
  readonly open: (world: ClientWorld) => object
  /** Bodies that one of is right for any method. */
  readonly bodies: ReadonlyArray<object>
  /** Methods in which the SDK throws an error of its own in place of ours. */
  readonly forgets?: ReadonlyArray<string>
}

/** The tag of a governance error along the causes of what was caught. */
export const tagOf = (error: unknown): string | undefined => {
  let at = error
  while (typeof at === "object" && at !== null) {
    if ("_tag" in at && typeof at._tag === "string") return at._tag
    at = "cause" in at ? at.cause : undefined
  }
  return undefined
}

/** Every method of a client, found by walking it and called against the provider (WRP-01, THR-05). */
export const methodCases = ({ bodies, forgets = [], name, open, table }: MethodClient) =>
  describe(`The methods of ${name}`, () => {
    const known = verdicts(table)

    it("are all in the table, and the table has no others (WRP-01)", async () => {
      await using world = await openWorld()
      assert.deepStrictEqual([...methodsOf(open(world))].sort(), [...known.keys()].sort())
    })

    for (const verdict of ["governed", "denied", "free", "local"] as const) {
      const methods = [...known].flatMap(([method, its]) => (its === verdict ? [method] : []))
      it(`that are ${verdict} are so when they are called: ${methods.length} of them (WRP-01, WRP-02, THR-05)`, async () => {
        await using world = await openWorld({ budget: { perSessionUsd: 1000 } })
        const client = open(world)
        const wrong: Array<string> = []
        for (const method of methods) {
          const sent = world.provider.requests.length
          const rows = (await world.kinds()).length
          let tag: string | undefined
          try {
            await callOf(client, method, bodies)
          } catch (error) {
            tag = forgets.includes(method) ? "UngovernedCall" : tagOf(error)
          }
          const requests = world.provider.requests.slice(sent)
          if (verdict === "governed") await until(async () => (await world.kinds()).length >= rows + 2)
          const kinds = (await world.kinds()).slice(rows)
          const { held } = await world.money()
          const isRight = {
            governed: () =>
              requests.length > 0 && kinds.length === 2 * requests.length && held === 0 && tag === undefined,
            denied: () =>
              requests.length === 0 &&
              tag === "UngovernedCall" &&
              kinds.length > 0 &&
              kinds.every((kind) => kind === "call.ungoverned"),
            free: () => requests.length > 0 && kinds.length === 0 && tag === undefined,
            local: () => requests.length === 0 && kinds.length === 0 && tag === undefined
          }[verdict]
          if (!isRight()) wrong.push(`${method}: ${requests.map(({ path }) => path)} ${kinds} ${held} ${tag}`)
        }
        assert.deepStrictEqual(wrong, [])
      })
    }
  })
