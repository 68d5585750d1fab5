/** Adds a member. Plain assignment to `__proto__` would change the prototype instead of adding a key. */
export const putMember = <A>(target: Record<string, A>, key: string, value: A): void => {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else target[key] = value
}
