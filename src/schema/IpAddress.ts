/** An address as its 16-bit groups: two of IPv4, eight of IPv6. `text` is what it was parsed from. */
export interface IpAddress {
  readonly family: 4 | 6
  readonly groups: ReadonlyArray<number>
  readonly text: string
}

/**
 * Reads an address as resolvers, sockets and `URL.hostname` write it (without brackets). Null for everything else: leading
 * zeros, short forms and zones mean different things to different readers, so they mean nothing here (B-01).
 */
export const parseIp = (text: string): IpAddress | null => {
  if (text.length > maxLength) return null
  const groups = text.includes(":") ? parseV6(text) : parseV4(text)
  return groups === null ? null : { family: groups.length === 2 ? 4 : 6, groups, text }
}

export const sameIp = (left: IpAddress, right: IpAddress): boolean =>
  left.groups.length === right.groups.length && left.groups.every((group, i) => group === right.groups[i])

/** The longest form: six groups and a dotted quad. */
const maxLength = 45

const parseV4 = (text: string): ReadonlyArray<number> | null => {
  const parts = text.split(".")
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part))) return null
  const [a, b, c, d] = parts.map(Number)
  return Math.max(a!, b!, c!, d!) > 255 ? null : [a! * 256 + b!, c! * 256 + d!]
}

const parseV6 = (text: string): ReadonlyArray<number> | null => {
  const halves = text.split("::")
  if (halves.length > 2) return null
  const [head, tail] = halves.map((half, i) => parseGroups(half, i === halves.length - 1))
  if (head === null || head === undefined || tail === null) return null
  if (tail === undefined) return head.length === 8 ? head : null
  const missing = 8 - head.length - tail.length
  return missing < 1 ? null : [...head, ...Array.from({ length: missing }, () => 0), ...tail]
}

const parseGroups = (text: string, mayEndDotted: boolean): ReadonlyArray<number> | null => {
  if (text === "") return []
  const parts = text.split(":")
  const last = parts[parts.length - 1]!
  const dotted = mayEndDotted && last.includes(".") ? parseV4(last) : []
  const plain = dotted?.length === 2 ? parts.slice(0, -1) : parts
  if (dotted === null || !plain.every((part) => /^[0-9a-f]{1,4}$/i.test(part))) return null
  return [...plain.map((part) => Number.parseInt(part, 16)), ...dotted]
}
