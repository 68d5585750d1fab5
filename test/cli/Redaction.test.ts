import { assert, describe, it } from "@effect/vitest"
import { hasPassword } from "../../src/cli/DatabaseTarget.ts"
import { learn, redact } from "../../src/cli/Redaction.ts"

const at = (user: string) => `postgres://${user}@db.example:5432/app`

describe("secrets on screen", () => {
  it("passwords in URLs are masked, the rest stays readable (L-05, CFG-32)", () => {
    assert.strictEqual(redact(`cannot open ${at("bob:canary")}!`), `cannot open ${at("bob:***")}!`)
    assert.strictEqual(
      redact(`${at("bob:can@na:ry")} and ${at("eve:canary")}`),
      `${at("bob:***")} and ${at("eve:***")}`
    )
    assert.notInclude(redact("postgres://bob@h/db?sslmode=require&password=canary"), "canary")
    assert.strictEqual(
      redact("https://example.com/a:b and postgres://bob@h/db"),
      "https://example.com/a:b and postgres://bob@h/db"
    )
  })

  it("a secret that was read is masked wherever it turns up, decoded or not (L-05)", () => {
    const secrets = new Set<string>()
    learn(secrets, at("bob:canary%2142"))
    assert.strictEqual(redact("said: canary!42, canary%2142", secrets), "said: ***, ***")
  })

  it("short plain passwords do not blacken ordinary words", () => {
    const secrets = new Set<string>()
    learn(secrets, at("bob:governance".replace("bob", "b")))
    assert.include(redact("run governance doctor", secrets), "governance doctor")
  })

  it("masking takes linear time (R-07)", () => {
    const started = performance.now()
    for (const hostile of ["://", ":", "@", "a", "://a:", "?password="])
      redact(hostile.repeat(1_000_000 / hostile.length))
    assert.isBelow(performance.now() - started, 3_000)
  })

  it("a password in a connection string is seen however it is written (L-05)", () => {
    for (const url of [
      at("bob:canary"),
      at(":canary"),
      at("bob:c/a?n#a"),
      "postgres://h/db?password=canary",
      "postgres://h/db?a=b&Password=canary",
      "host=h password = canary"
    ]) {
      assert.isTrue(hasPassword(url), url)
    }
    for (const url of [
      at("bob"),
      "postgres://db.example:5432/app",
      "postgres:///app",
      "postgres://bob@h/db?sslmode=require"
    ]) {
      assert.isFalse(hasPassword(url), url)
    }
  })
})
