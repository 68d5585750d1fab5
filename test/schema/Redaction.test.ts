import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { make, redacted, redactionLimits, standard } from "../../src/schema/Redaction.ts"
import { leaks } from "../../src/testing/Canaries.ts"
import { files } from "../house/Tree.ts"
import { anyJson, random } from "./JsonArbitrary.ts"
import { ordinary } from "./OrdinaryTexts.ts"
import { encodings, kinds, randomOf } from "./SecretKinds.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const around: ReadonlyArray<(text: string) => string> = [
  (text) => text,
  (text) => `request failed: ${text} (attempt 3 of 5)`,
  (text) => `{"note":"${text}","n":1}`,
  (text) => `first line\n${text}\nlast line`
]

/** The secret, and its halves: what is left of one must not be of use either. */
const parts = (secret: string): Record<string, string> => {
  const half = Math.floor(secret.length / 2)
  return half < 8 ? { whole: secret } : { whole: secret, begin: secret.slice(0, half), end: secret.slice(-half) }
}

describe("what looks like a secret", () => {
  it("is found in at least 99 of 100 cases of 61 kinds in all 8 encodings, in text and in JSON (G11, C-17, B-22, OTL-02)", () => {
    const missed: Array<string> = []
    let tried = 0
    for (const [k, kind] of kinds.entries()) {
      for (const [encoding, encode] of encodings) {
        for (let round = 0; round < 20; round++) {
          const { secret, text } = kind.make(randomOf(1 + k * 1_000 + round))
          const sent = around[round % around.length]!(encode(text))
          const out = round % 2 === 0 ? standard.text(sent) : JSON.stringify(standard.json({ a: [{ b: sent }] }))
          tried++
          if (leaks([{ name: "out", bytes: bytes(out) }], parts(secret)).length > 0)
            missed.push(`${kind.name} as ${encoding}: ${out}`)
        }
      }
    }
    assert.strictEqual(kinds.length, 61)
    assert.isAtMost(missed.length / tried, 0.01, missed.slice(0, 20).join("\n"))
    // What has a form of its own is never missed; only random words may pass for names.
    assert.deepStrictEqual(
      missed.filter((miss) => !miss.startsWith("a random word")),
      []
    )
  })

  it("is not seen in ordinary messages, and in at most 1 % of lines of prose and code (G11)", () => {
    const wrong = ordinary.filter((text) => standard.text(text) !== text)
    assert.isAtLeast(ordinary.length, 100)
    assert.isAtMost(wrong.length / ordinary.length, 0.01, wrong.join("\n"))
    const lines = [...files("src"), "AGENTS.md"]
      .flatMap((file) => readFileSync(join(import.meta.dirname, "../..", file), "utf8").split("\n"))
      .filter((line) => line.trim() !== "")
    const changed = lines.filter((line) => standard.text(line) !== line)
    assert.isAtLeast(lines.length, 10_000)
    assert.isAtMost(changed.length / lines.length, 0.01)
  })

  it("is found in the ways in which people and programs write it down (C-17)", () => {
    const ways: ReadonlyArray<string> = [
      "PGPASSWORD=canary4711 psql",
      "password : 'canary4711'",
      '"password" => "canary4711"',
      "password:canary4711,user:bob",
      "password is: canary4711",
      "Server=db;User Id=sa;Password=canary4711;",
      "{'token': 'canary4711'}",
      "The API key is canary4711",
      "my secret: canary4711",
      "passphrase: correct canary4711 battery staple",
      "curl -u admin:canary4711 https://example.com",
      '<password type="plain">canary4711</password>',
      "machine example.com login bob password canary4711",
      "authorization: token canary4711",
      "x-amz-security-token: canary4711",
      "user=bob&password=canary4711&x=1",
      "//registry.example.com/:_authToken=canary4711",
      "jdbc:postgresql:".concat("//h/db?user=a&password=canary4711"),
      "ftp:".concat("//a:canary4711@h"),
      "IDENTIFIED BY 'canary4711'",
      "DB_PASS: canary4711",
      "SECRET_KEY = 'canary4711'"
    ]
    assert.deepStrictEqual(
      ways.filter((text) => standard.text(text).includes("canary")),
      []
    )
  })

  it("leaves the text around it as it was, and redacting twice changes nothing more (C-17)", () => {
    assert.strictEqual(
      standard.text("user bob said password=hunter2 and went home"),
      `user bob said password=${redacted} and went home`
    )
    for (const [k, kind] of kinds.entries()) {
      const once = standard.text(around[1]!(kind.make(randomOf(k + 7)).text))
      assert.strictEqual(standard.text(once), once, kind.name)
    }
  })

  it("is found behind look-alikes, invisible characters and escapes within escapes (C-17)", () => {
    const said = ["p\u0430ssword", "ｐａｓｓｗｏｒｄ", "pass\u200bword", "PASSWORD", "pass%77ord", "\\\\\\u0070assword"]
    for (const name of said) assert.notInclude(standard.text(`${name}=canary-4711`), "canary-4711", name)
    for (const text of [
      encodeURIComponent(encodeURIComponent("password=canary&4711")),
      "&quot;password&quot;:&quot;canary-4711&quot;",
      "password&#61;canary-4711"
    ]) {
      assert.notInclude(standard.text(text), "canary", text)
    }
  })
})

describe("names of secrets", () => {
  // The seeds' own list: `password, secret, token, api_key`, nested values stripped too.
  const spelled = (words: ReadonlyArray<string>) => [
    words.join("_"),
    words.join("-"),
    words.join(""),
    words.join(" "),
    words.join("_").toUpperCase(),
    words.map((word, i) => (i === 0 ? word : word[0]!.toUpperCase() + word.slice(1))).join(""),
    `x-${words.join("-")}`,
    `user.${words.join("_")}`
  ]

  it("hide their values however they are spelled (CNB-26, C-17)", () => {
    const names =
      "password|secret|token|api key|access token|client secret|private key|db password|auth token|signing key"
    for (const name of names.split("|").flatMap((words) => spelled(words.split(" ")))) {
      assert.deepStrictEqual(standard.json({ [name]: "plain words" }), { [name]: redacted }, name)
    }
    for (const name of ["pаssword", "ｓｅｃｒｅｔ", "pass\u200bword", "pässword".replace("ä", "a\u0308")]) {
      assert.notInclude(JSON.stringify(standard.json({ [name]: "plain words" })), "plain words", name)
    }
  })

  it("hide numbers, arrays and whole objects, at any depth (C-17)", () => {
    assert.deepStrictEqual(
      standard.json({ a: [{ pin: 4711, secret: { deep: ["x", { y: "z" }] }, passwords: ["one", "two"], keep: 1 }] }),
      { a: [{ pin: redacted, secret: redacted, passwords: redacted, keep: 1 }] }
    )
    assert.deepStrictEqual(standard.json({ password: null, secret: "", hasPassword: true, token: false }), {
      password: null,
      secret: "",
      hasPassword: true,
      token: false
    })
  })

  it("hide the other half of a pair, a header and a flag (C-17)", () => {
    assert.deepStrictEqual(
      standard.json([
        ["api_key", "plain words"],
        { name: "Authorization", value: "plain words" },
        ["serve", "--password", "plain words", "--port", "80"],
        ["host", "x", "authorization", "plain words"]
      ]),
      [
        ["api_key", redacted],
        { name: "Authorization", value: redacted },
        ["serve", "--password", redacted, "--port", "80"],
        ["host", "x", "authorization", redacted]
      ]
    )
  })

  it("do not hide what only speaks of secrets: counts, types, times, ids", () => {
    const plain = {
      max_tokens: 4096,
      inputTokens: "812",
      tokens: "1234",
      token_type: "bearer",
      tokenCount: 3,
      password_changed_at: "2027-01-15T08:00:00.000Z",
      secretary: "Ms Smith",
      author: "bob",
      authorized: true,
      keyboard: "us",
      monkey: "george",
      session: "order-4711",
      ticket: "00000000-0000-4000-8000-000000000001",
      compass: "north",
      keyId: "managed"
    }
    assert.deepStrictEqual(standard.json(plain), plain)
  })

  it("can be added by the configuration, in any spelling (CFG-25)", () => {
    const redactor = make({ extraKeys: ["customer_iban", "diagnosis"] })
    const given = { customerIban: "plain", "Customer-IBAN": "plain", diagnosis: "flu", patient: "plain" }
    assert.deepStrictEqual(redactor.json(given), {
      customerIban: redacted,
      "Customer-IBAN": redacted,
      diagnosis: redacted,
      patient: "plain"
    })
    assert.strictEqual(redactor.text("diagnosis=flu-b, seen"), `diagnosis=${redacted}, seen`)
    assert.strictEqual(standard.text("diagnosis=flu-b, seen"), "diagnosis=flu-b, seen")
  })
})

describe("redaction of JSON", () => {
  it("never throws, gives plain JSON and adds no secret, whatever it is given (A-15)", () => {
    const cyclic: Record<string, unknown> = { a: 1 }
    cyclic.self = cyclic
    const odd = [
      cyclic,
      () => 1,
      Symbol("x"),
      10n,
      undefined,
      Number.NaN,
      new Map([["password", "x"]]),
      new Date(0),
      "\ud800"
    ]
    for (const value of odd) assert.doesNotThrow(() => JSON.stringify(standard.json(value)))
    const polluting: unknown = JSON.parse('{"__proto__":{"polluted":"x"},"constructor":{"a":1}}')
    assert.strictEqual(JSON.stringify(standard.json(polluting)), JSON.stringify(polluting))
    assert.isUndefined(Reflect.get({}, "polluted"))
    for (let seed = 0; seed < 500; seed++) {
      const once = standard.json(anyJson(random(seed)))
      assert.deepStrictEqual(standard.json(once), once, `seed ${seed}`)
    }
  })

  it("searches names of members and bytes in arrays too (C-17)", () => {
    const { secret, text } = kinds.find(({ name }) => name === "a GitHub token")!.make(randomOf(3))
    assert.notInclude(JSON.stringify(standard.json({ [`seen ${text}`]: 1 })), secret)
    assert.deepStrictEqual(standard.json({ data: [...bytes(`x ${text}`)] }), { data: redacted })
    assert.deepStrictEqual(standard.json({ data: [...bytes("quite ordinary text")] }), {
      data: [...bytes("quite ordinary text")]
    })
  })

  it("replaces what is too deep or too much instead of passing it through (R-07)", () => {
    let deep: unknown = "password=canary-4711"
    for (let i = 0; i < 10_000; i++) deep = [deep]
    assert.notInclude(JSON.stringify(standard.json(deep)), "canary")
    const wide = Array.from({ length: redactionLimits.values + 10 }, () => "canary")
    assert.strictEqual(JSON.stringify(standard.json(wide)).match(/canary/g)?.length, redactionLimits.values - 1)
    const long = `${"word ".repeat(redactionLimits.textLength / 5)} password=canary-4711`
    assert.notInclude(standard.text(long), "canary")
    assert.notInclude(JSON.stringify(standard.json(Array.from({ length: 9 }, () => long))), "canary")
  })
})

describe("the work of redaction", () => {
  it("is linear in the text, whatever the text is (R-07)", () => {
    const hostile =
      'a|A1|sk-|eyJ|eyJa.|://|://a:|?a=|a=|password=|password: |\\|\\\\u|%25|%|&#|-----BEGIN |--a |<a>|a is |bearer |a-|a b |"|0|f0|SG.aaaaaaaaaaaaaaaaaaaa.|v2:0123456789abcdef:|\u0000|а|é|a\u0301|\u200b|=|a/|key is |\n|password=......|password=${|Aa1-'
    const time = (text: string) => {
      const started = performance.now()
      standard.text(text)
      return performance.now() - started
    }
    const slow: Array<string> = []
    for (const piece of hostile.split("|")) {
      const small = Math.min(...[1, 2, 3].map(() => time(piece.repeat(32_768 / piece.length))))
      const large = Math.min(...[1, 2].map(() => time(piece.repeat(262_144 / piece.length))))
      // Eight times the text: 64 times the time would be quadratic.
      if (large > 32 * Math.max(small, 4) || large > 4_000)
        slow.push(`${JSON.stringify(piece)}: ${small} -> ${large} ms`)
    }
    assert.deepStrictEqual(slow, [])
  })
})
