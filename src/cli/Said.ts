/** The innermost message of an error: what Postgres or the network said, under what our own errors make of it. */
export const saidBy = (error: unknown): string | undefined => {
  let current = error
  let said: string | undefined
  for (let depth = 0; depth < 8 && typeof current === "object" && current !== null; depth++) {
    const text: unknown = Reflect.get(current, "message")
    if (typeof text === "string" && text !== "") said = text
    current = ["detail", "reason", "cause"]
      .map((key) => within(current, key))
      .find((inner) => typeof inner === "object" && inner !== null)
  }
  return said
}

const within = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined
