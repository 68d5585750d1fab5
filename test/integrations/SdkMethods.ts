/** What becomes of a method of an SDK's client that is governed. */
export type Verdict =
  /** A governed call, or several. */
  | "governed"
  /** `UngovernedCall`: nothing is sent. */
  | "denied"
  /** Sent as it is: it costs nothing. */
  | "free"
  /** Sends nothing at all. */
  | "local"

/** A resource's methods by verdict, as words. */
export type ResourceTable = Readonly<Record<string, Partial<Readonly<Record<Verdict, string>>>>>

export const verdicts = (table: ResourceTable): ReadonlyMap<string, Verdict> => {
  const found = new Map<string, Verdict>()
  // The keys of a row are verdicts.
  for (const [resource, row] of Object.entries(table))
    for (const [verdict, names] of Object.entries(row))
      for (const name of names.split(" ")) found.set(`${resource}.${name}`, verdict as Verdict)
  return found
}

/** Every method of every resource of a client, found along the prototypes, so that a new one cannot hide. */
export const methodsOf = (client: object): ReadonlyArray<string> => {
  const seen = new Set<object>()
  const found = new Set<string>()
  const walk = (resource: object, path: string) => {
    if (seen.has(resource)) return
    seen.add(resource)
    if (path !== "") for (const name of namesOf(resource)) found.add(path + name)
    for (const key of Object.keys(resource)) {
      const value: unknown = Reflect.get(resource, key)
      if (typeof value !== "object" || value === null) continue
      if ("_client" in value && value._client === client) walk(value, `${path}${key}.`)
    }
  }
  walk(client, "")
  return [...found]
}

/** The client's own methods: what every resource is made of. */
export const ownMethodsOf = (client: object): ReadonlyArray<string> => namesOf(client)

const namesOf = (resource: object): ReadonlyArray<string> => {
  const names = new Set<string>()
  for (let at = Object.getPrototypeOf(resource); at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at))
    for (const name of Object.getOwnPropertyNames(at)) {
      const { get, value } = Object.getOwnPropertyDescriptor(at, name) ?? {}
      if (name !== "constructor" && (get !== undefined || typeof value === "function")) names.add(name)
    }
  return [...names]
}

/** Calls a method with arguments that do for any, and reads what it gives to the end. Rejects as it does. */
export const callOf = async (client: object, path: string, bodies: ReadonlyArray<object>): Promise<unknown> => {
  const names = path.split(".")
  const name = names.pop() ?? ""
  const resource = names.reduce<object>((at, key) => Reflect.get(at, key), client)
  let error: unknown
  // Some methods take the body first, some an id; those that take ids first get every id they ask for.
  const forms = bodies.map(ids).flatMap((body) => [[body], ["a1", body], ["a1", "a1", body], ["a1"], [body, "a1"]])
  for (const args of forms) {
    try {
      return await ended(Reflect.apply(Reflect.get(resource, name), resource, args))
    } catch (caught) {
      error = caught
      if (!isOfArguments(caught)) break
    }
  }
  throw error
}

const ids = (body: object) =>
  new Proxy(body, {
    get: (target, key) =>
      Reflect.get(target, key) ??
      (typeof key === "string" && /(_id|_key|_name|version|date)$/.test(key) ? "a1" : undefined)
  })

const isOfArguments = (error: unknown): boolean =>
  error instanceof TypeError || /invalid segments|non-reserved absolute|must be passed as separate/.test(String(error))

const ended = async (result: unknown): Promise<unknown> => {
  if (typeof result !== "object" || result === null) return result
  const timeout = new Promise((_, reject) => setTimeout(() => reject(new Error("it did not end")), 2000))
  return Promise.race([timeout, readToEnd(result)])
}

const readToEnd = async (result: object): Promise<unknown> => {
  if ("runUntilDone" in result && typeof result.runUntilDone === "function")
    return Reflect.apply(result.runUntilDone, result, [])
  if ("done" in result && typeof result.done === "function") return Reflect.apply(result.done, result, [])
  if ("then" in result) return result
  if (Symbol.asyncIterator in result) {
    // What has this symbol can be iterated.
    for await (const _ of result as AsyncIterable<unknown>);
  }
  return result
}
