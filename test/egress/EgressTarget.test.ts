import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { classify } from "../../src/schema/AddressRules.ts"
import { admitted, type EgressRules, hostAndPort, targetOf } from "../../src/schema/EgressTarget.ts"
import { parseIp } from "../../src/schema/IpAddress.ts"
import { json, present } from "../schema/Vectors.ts"

const rules = (trusted: ReadonlyArray<string> = [], more: Partial<EgressRules> = {}): EgressRules => ({
  trusted: new Set(trusted.map((entry) => hostAndPort(entry)!)),
  allowed: null,
  allowMetadata: false,
  ...more
})

/** The rule or the range that stops a URL, addresses of a name included; "" when nothing does. */
const stopped = (url: string | URL, by: EgressRules = rules(), addresses: ReadonlyArray<string> = ["8.8.8.8"]) => {
  const target = targetOf(url, by)
  if (Result.isFailure(target)) return target.failure.rule
  const found = target.success.literal === null ? addresses.map((text) => parseIp(text)!) : [target.success.literal]
  const answer = admitted(target.success, found, by)
  return Result.isSuccess(answer) ? "" : (answer.failure.range ?? answer.failure.rule)
}

const refusals: ReadonlyArray<readonly [url: string, by: string]> = [
  ["", "form"],
  ["hooks.example", "form"],
  ["//hooks.example/", "form"],
  ["https:hooks.example", "form"],
  ["https:/hooks.example", "form"],
  ["https:///hooks.example", "form"],
  ["https://", "form"],
  ["https://hooks.example/a b", "form"],
  [" https://hooks.example", "form"],
  ["https://hooks.example\n", "form"],
  ["https://hooks.ex\tample/", "form"],
  ["https://hooks.example\\@127.0.0.1/", "form"],
  ["https:\\\\127.0.0.1\\", "form"],
  ["https://hooks.example/\u0000", "form"],
  ["https://hooks.example\u00a0/", "form"],
  ["https://hooks.example/\u2028", "form"],
  [`https://hooks.example/${"a".repeat(2048)}`, "form"],
  ["https://[::1", "form"],
  ["https://[fe80::1%25eth0]/", "form"],
  ["https://256.1.1.1/", "form"],
  ["https://1.2.3.4.5/", "form"],
  ["https://hooks.example:65536/", "form"],
  ["https://a%00b/", "form"],
  ["https://a%2fb/", "form"],
  ["ftp://hooks.example/", "scheme"],
  ["file:///etc/passwd", "form"],
  ["gopher://127.0.0.1/", "scheme"],
  ["ws://hooks.example/", "scheme"],
  ["data:text/plain,x", "form"],
  ["javascript:alert(1)", "form"],
  ["http://hooks.example/", "scheme"],
  ["HTTP://hooks.example/", "scheme"],
  ["http://127.0.0.1/", "scheme"],
  ["https://user@hooks.example/", "userinfo"],
  ["https://user:secret@hooks.example/", "userinfo"],
  ["https://@hooks.example/", "userinfo"],
  ["https://:@hooks.example/", "userinfo"],
  ["https://hooks.example@127.0.0.1/", "userinfo"],
  ["https://hooks.example%40127.0.0.1/", "form"],
  ["https://hooks.example/#fragment", "fragment"],
  ["https://127.0.0.1#@hooks.example/", "fragment"],
  ["https://hooks.example:80/", "port"],
  ["https://hooks.example:8443/", "port"],
  ["https://hooks.example:22/", "port"],
  ["https://hooks.example../", "host"],
  ["https://.hooks.example/", "host"],
  ["https://a..b/", "host"],
  [`https://${"a".repeat(64)}.example/`, "host"],
  [`https://${"a.".repeat(130)}example/`, "host"],
  ["https://a$b/", "host"],
  ["https://a*b.example/", "host"],
  ["https://metadata.google.internal/computeMetadata/v1/", "metadata-name"],
  ["https://METADATA.Google.Internal./", "metadata-name"],
  ["https://metadata/", "metadata-name"],
  ["https://metadata.goog/", "metadata-name"],
  ["https://instance-data/latest/", "metadata-name"],
  ["https://%6detadata.google.internal/", "metadata-name"],
  ["https://ｍetadata.google.internal/", "metadata-name"],
  // One loopback address in every notation (B-01).
  ...[
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7F.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0x1",
    "127.0.0.01",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "127.0.0.1%2e",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::0001]",
    "[0::1]"
  ].map((host): readonly [string, string] => [`https://${host}/`, "loopback"]),
  ["https://0/", "this network"],
  ["https://0x0/", "this network"],
  ["https://[::]/", "unspecified"],
  ["https://[::ffff:127.0.0.1]/", "IPv4-mapped"],
  ["https://[::ffff:7f00:1]/", "IPv4-mapped"],
  ["https://[::127.0.0.1]/", "IPv4-compatible"],
  ["https://[64:ff9b::7f00:1]/", "NAT64"],
  ["https://[2002:7f00:1::]/", "6to4"],
  ["https://0xa9.254.0251.254/", "cloud metadata"],
  ["https://2852039166/", "cloud metadata"],
  ["https://0xA9FEA9FE/", "cloud metadata"],
  ["https://[fd00:ec2::254]/", "cloud metadata"],
  ["https://10.1/", "private"],
  ["https://192.168.257/", "private"],
  ["https://[fe80::1]/", "link-local"],
  ["https://[fd12::1]/", "unique-local"],
  ["https://4294967295/", "broadcast"]
]

describe("EgressTarget", () => {
  for (const [url, by] of refusals) {
    it(`refuses ${JSON.stringify(url.slice(0, 60))}: ${by} (B-01, B-04, B-06, B-12, BRG-13)`, () => {
      assert.strictEqual(stopped(url), by)
    })
  }

  it("lets plain https through, and shows TLS and the receiver one canonical name (B-12)", () => {
    const cases: ReadonlyArray<readonly [string, string, string, string]> = [
      ["https://hooks.example/a?b=c", "hooks.example", "hooks.example", "/a?b=c"],
      ["HTTPS://Hooks.Example.:443", "hooks.example", "hooks.example", "/"],
      ["https://bücher.example/ü", "xn--bcher-kva.example", "xn--bcher-kva.example", "/%C3%BC"],
      ["https://8.8.8.8/x", "8.8.8.8", "8.8.8.8", "/x"],
      ["https://134744072/x", "8.8.8.8", "8.8.8.8", "/x"],
      ["https://[2606:4700:0::1111]/", "2606:4700::1111", "[2606:4700::1111]", "/"]
    ]
    for (const [url, host, authority, path] of cases) {
      const target = Result.getOrThrow(targetOf(url, rules()))
      assert.deepStrictEqual([target.host, target.authority, target.path, target.port], [host, authority, path, 443])
      assert.strictEqual(stopped(url), "")
      assert.strictEqual(stopped(new URL(url)), "")
    }
  })

  it("one bad answer among good ones refuses them all (B-05)", () => {
    const url = "https://hooks.example/"
    assert.strictEqual(stopped(url, rules(), ["8.8.8.8", "2606:4700::1111"]), "")
    assert.strictEqual(stopped(url, rules(), ["8.8.8.8", "10.0.0.1"]), "private")
    assert.strictEqual(stopped(url, rules(), ["fd00::1", "8.8.8.8"]), "unique-local")
    assert.strictEqual(stopped(url, rules(), ["8.8.8.8", "8.8.4.4", "::ffff:8.8.8.8"]), "IPv4-mapped")
  })

  it("a host that code trusts may be private and on its own port; nothing else is opened by it (B-12, B-13, DEC-11)", () => {
    const trusting = rules(["intra.example", "intra.example:8443", "[::1]:9000", "127.0.0.1:8080"])
    assert.strictEqual(stopped("https://intra.example/", trusting, ["10.0.0.1", "fd00::1"]), "")
    assert.strictEqual(stopped("https://INTRA.example.:8443/", trusting, ["192.168.0.1"]), "")
    assert.strictEqual(stopped("https://[0::1]:9000/", trusting), "")
    assert.strictEqual(stopped("https://intra.example:8444/", trusting, ["10.0.0.1"]), "port")
    for (const host of [
      "evil-intra.example",
      "intra.example.evil",
      "sub.intra.example",
      "intra.exampl",
      "xintra.example"
    ])
      assert.strictEqual(stopped(`https://${host}/`, trusting, ["10.0.0.1"]), "private")
    assert.strictEqual(stopped("https://[::1]/", trusting), "loopback")
    for (const special of [
      "0.0.0.0",
      "224.0.0.1",
      "::ffff:10.0.0.1",
      "64:ff9b::a00:1",
      "198.18.0.1",
      "255.255.255.255"
    ])
      assert.notStrictEqual(stopped("https://intra.example/", trusting, [special]), "")
  })

  it("http goes to trusted loopback alone (B-12)", () => {
    const trusting = rules(["localhost:8080", "intra.example:80", "127.0.0.1:8080"])
    assert.strictEqual(stopped("http://localhost:8080/", trusting, ["127.0.0.1", "::1"]), "")
    assert.strictEqual(stopped("http://127.0.0.1:8080/", trusting), "")
    assert.strictEqual(stopped("http://localhost:8081/", trusting, ["127.0.0.1"]), "scheme")
    assert.strictEqual(stopped("http://localhost:8080/", trusting, ["127.0.0.1", "10.0.0.1"]), "scheme")
    assert.strictEqual(stopped("http://intra.example/", trusting, ["10.0.0.1"]), "scheme")
    assert.strictEqual(stopped("http://intra.example/", trusting, ["8.8.8.8"]), "scheme")
  })

  it("metadata needs trust and a flag of its own, and names of it are refused before they are resolved (B-04)", () => {
    const addresses = ["169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd20:ce::254"]
    for (const address of [...addresses, "168.63.129.16", "100.100.100.200", "192.0.0.192"]) {
      const literal = address.includes(":") ? `[${address}]` : address
      const outcome = (trusted: boolean, allowMetadata: boolean) => [
        stopped(`https://${literal}/`, rules(trusted ? [literal] : [], { allowMetadata })) === "",
        stopped("https://a.example/", rules(trusted ? ["a.example"] : [], { allowMetadata }), [address]) === ""
      ]
      assert.deepStrictEqual(outcome(false, false), [false, false])
      assert.deepStrictEqual(outcome(true, false), [false, false])
      assert.deepStrictEqual(outcome(false, true), [false, false])
      assert.deepStrictEqual(outcome(true, true), [true, true])
    }
    const name = "https://metadata.google.internal/"
    assert.strictEqual(stopped(name, rules(["metadata.google.internal"])), "metadata-name")
    assert.strictEqual(stopped(name, rules([], { allowMetadata: true })), "metadata-name")
    const opened = rules(["metadata.google.internal"], { allowMetadata: true })
    assert.strictEqual(stopped(name, opened, ["169.254.169.254"]), "")
  })

  it("a list of allowed hosts only narrows: what is on it still passes the guard (DEC-11, B-13)", () => {
    const narrowed = rules([], { allowed: new Set(["hooks.example:443", "intra.example:443", "127.0.0.1:443"]) })
    assert.strictEqual(stopped("https://hooks.example/", narrowed), "")
    assert.strictEqual(stopped("https://other.example/", narrowed), "not-allowed")
    assert.strictEqual(stopped("https://intra.example/", narrowed, ["10.0.0.1"]), "private")
    assert.strictEqual(stopped("https://127.0.0.1/", narrowed), "loopback")
  })

  it("takes no pattern, path, user or control character for a host (B-13)", () => {
    for (const entry of [
      "",
      "*",
      "*.example",
      "a/b",
      "https://a",
      "u@a",
      "a b",
      "a\n",
      "a?b",
      "a#b",
      "a..b",
      "a:99999"
    ])
      assert.isNull(hostAndPort(entry), JSON.stringify(entry))
    assert.strictEqual(hostAndPort("A.Example."), "a.example:443")
    assert.strictEqual(hostAndPort("[::0001]:8443"), "::1:8443")
    assert.strictEqual(hostAndPort("bücher.example"), "xn--bcher-kva.example:443")
  })

  it("says of a refusal the host and the rule, and nothing else of the URL (CFG-32)", () => {
    const target = targetOf("https://hooks.example:444/canary-path?canary=query", rules())
    assert.isTrue(Result.isFailure(target))
    if (Result.isSuccess(target)) return
    assert.strictEqual(`${target.failure.message} ${JSON.stringify(target.failure)}`.includes("canary"), false)
    assert.include(target.failure.message, "hooks.example")
    assert.isNotEmpty(target.failure.recoveryHint)
  })

  it.skipIf(!present)(
    "whatever of the web platform's URL tests it lets through is public https on port 443 (needs the shared vectors; B-01, B-12)",
    () => {
      const tests = json("url/urltestdata.json") as ReadonlyArray<string | { readonly input: string }>
      let passed = 0
      for (const test of tests) {
        if (typeof test === "string") continue
        const target = targetOf(test.input, rules())
        if (Result.isFailure(target)) continue
        passed++
        const parsed = new URL(test.input)
        const { host, literal, port, secure } = target.success
        assert.deepStrictEqual(
          [parsed.protocol, parsed.username, parsed.hash, port, secure],
          ["https:", "", "", 443, true]
        )
        assert.strictEqual(parsed.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, ""), host)
        if (literal === null) assert.match(host, /^[a-z0-9_.-]+$/)
        else if (classify(literal)._tag === "Public") assert.strictEqual(stopped(test.input), "")
        else assert.notStrictEqual(stopped(test.input), "")
      }
      assert.isAbove(passed, 10)
    }
  )
})
