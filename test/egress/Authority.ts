import { execFileSync } from "node:child_process"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"

/** Whether certificates can be made here. */
export const openssl = (() => {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

/** A certificate authority of the test's own, and what it signs. */
export const makeAuthority = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = mkdtempSync(join(tmpdir(), "governance-ca-"))
    chmodSync(directory, 0o700)
    const run = (...parts: ReadonlyArray<string>) => execFileSync("openssl", parts, { cwd: directory, stdio: "ignore" })
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority", "-days", "2")
    const read = (name: string) => readFileSync(join(directory, name), "utf8")
    const sign = (name: string, subject: string, ...validity: ReadonlyArray<string>) => {
      writeFileSync(join(directory, `${name}.ext`), `subjectAltName=${subject}\n`)
      run("req", "-new", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", "/CN=ignored")
      run(
        ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
        ...["-out", `${name}.pem`, "-extfile", `${name}.ext`, ...validity]
      )
      return { key: read(`${name}.key`), cert: read(`${name}.pem`) }
    }
    run("req", "-x509", ...key, "-keyout", "self.key", "-out", "self.pem", "-subj", "/CN=localhost", "-days", "2")
    return {
      directory,
      ca: read("ca.pem"),
      good: sign("good", "DNS:localhost,IP:127.0.0.1", "-days", "2"),
      wrongHost: sign("wrong", "DNS:other.example", "-days", "2"),
      expired: sign("expired", "DNS:localhost", "-days", "-1"),
      selfSigned: { key: read("self.key"), cert: read("self.pem") }
    }
  }),
  ({ directory }) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)
