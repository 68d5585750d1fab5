import { type IpAddress, parseIp } from "./IpAddress.ts"

/**
 * What an address is, for whoever is about to connect to it. `private`: code may trust a host there. `metadata`: hands out
 * credentials to whoever asks, so it needs a permission of its own. `special`: no service lives there, or the address hides
 * another one; nothing can permit it (B-02, B-03, B-04).
 */
export type AddressVerdict =
  | { readonly _tag: "Public" }
  | { readonly _tag: "Denied"; readonly range: string; readonly kind: RangeKind }

export type RangeKind = "private" | "metadata" | "special"

export const loopback = "loopback"

export const classify = (address: IpAddress): AddressVerdict => {
  const found = (address.family === 4 ? v4 : v6).find((range) => contains(range, address))
  if (address.family === 6 && found?.kind !== "metadata" && isIsatap(address)) return isatap
  if (found !== undefined) return { _tag: "Denied", range: found.name, kind: found.kind }
  return address.family === 4 || contains(globalUnicast, address) ? { _tag: "Public" } : unassigned
}

interface Range {
  readonly groups: ReadonlyArray<number>
  readonly bits: number
  readonly name: string
  readonly kind: RangeKind
}

const range = (cidr: string, name: string, kind: RangeKind): Range => {
  const [address, bits] = cidr.split("/")
  return { groups: parseIp(address!)!.groups, bits: Number(bits), name, kind }
}

const contains = ({ bits, groups }: Range, address: IpAddress): boolean => {
  for (let i = 0, left = bits; left > 0; i++, left -= 16) {
    const mask = left >= 16 ? 0xffff : (0xffff << (16 - left)) & 0xffff
    if ((address.groups[i]! & mask) !== groups[i]) return false
  }
  return true
}

// IANA's registries of special-purpose addresses (RFC 6890) with what they call globally reachable denied as well: anycast
// relays and sinks are no receivers. The first match names the address, so the narrow ranges stand above the wide ones.
const v4: ReadonlyArray<Range> = [
  range("169.254.169.254/32", "cloud metadata", "metadata"),
  range("169.254.170.2/32", "cloud metadata (containers)", "metadata"),
  range("169.254.170.23/32", "cloud metadata (pods)", "metadata"),
  range("168.63.129.16/32", "cloud metadata (platform)", "metadata"),
  range("100.100.100.200/32", "cloud metadata", "metadata"),
  range("192.0.0.192/32", "cloud metadata", "metadata"),
  range("0.0.0.0/8", "this network", "special"),
  range("10.0.0.0/8", "private", "private"),
  range("100.64.0.0/10", "shared (carrier-grade NAT)", "private"),
  range("127.0.0.0/8", loopback, "private"),
  range("169.254.0.0/16", "link-local", "private"),
  range("172.16.0.0/12", "private", "private"),
  range("192.0.0.0/24", "protocol assignments", "special"),
  range("192.0.2.0/24", "documentation", "special"),
  range("192.31.196.0/24", "AS112", "special"),
  range("192.52.193.0/24", "multicast tunnels", "special"),
  range("192.88.99.0/24", "6to4 relay", "special"),
  range("192.168.0.0/16", "private", "private"),
  range("192.175.48.0/24", "AS112", "special"),
  range("198.18.0.0/15", "benchmarking", "special"),
  range("198.51.100.0/24", "documentation", "special"),
  range("203.0.113.0/24", "documentation", "special"),
  range("224.0.0.0/4", "multicast", "special"),
  range("255.255.255.255/32", "broadcast", "special"),
  range("240.0.0.0/4", "reserved", "special")
]

const v6: ReadonlyArray<Range> = [
  range("fd00:ec2::254/128", "cloud metadata", "metadata"),
  range("fd00:ec2::23/128", "cloud metadata (pods)", "metadata"),
  range("fd20:ce::254/128", "cloud metadata", "metadata"),
  range("::/128", "unspecified", "special"),
  range("::1/128", loopback, "private"),
  range("::/96", "IPv4-compatible", "special"),
  range("::ffff:0:0/96", "IPv4-mapped", "special"),
  range("::ffff:0:0:0/96", "IPv4-translated", "special"),
  range("64:ff9b::/96", "NAT64", "special"),
  range("64:ff9b:1::/48", "NAT64 (local)", "special"),
  range("100::/64", "discard", "special"),
  range("100:0:0:1::/64", "dummy prefix", "special"),
  range("2001::/32", "Teredo", "special"),
  range("2001:2::/48", "benchmarking", "special"),
  range("2001:10::/28", "ORCHID", "special"),
  range("2001:20::/28", "ORCHIDv2", "special"),
  range("2001:30::/28", "drone identifiers", "special"),
  range("2001::/23", "protocol assignments", "special"),
  range("2001:db8::/32", "documentation", "special"),
  range("2002::/16", "6to4", "special"),
  range("2620:4f:8000::/48", "AS112", "special"),
  range("3fff::/20", "documentation", "special"),
  range("5f00::/16", "segment routing", "special"),
  range("fc00::/7", "unique-local", "private"),
  range("fe80::/10", "link-local", "private"),
  range("fec0::/10", "site-local", "special"),
  range("ff00::/8", "multicast", "special")
]

/** All that is assigned for use between hosts of the whole internet; what lies outside is denied without a name of its own. */
const globalUnicast = range("2000::/3", "global unicast", "special")
const unassigned = { _tag: "Denied", range: "unassigned", kind: "special" } as const

/** An IPv4 address in the last 32 bits, behind 0000:5efe or 0200:5efe, whatever the prefix (RFC 5214). */
const isIsatap = ({ groups }: IpAddress): boolean => (groups[4]! & 0xfdff) === 0 && groups[5] === 0x5efe
const isatap = { _tag: "Denied", range: "ISATAP", kind: "special" } as const
