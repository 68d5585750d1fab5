import { randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { zipSync } from "fflate"
import { readZip } from "../../src/services/ZipReader.ts"
import { ZipWriter } from "../../src/services/ZipWriter.ts"
import { verdicts } from "./Verifiers.ts"

const hello = new TextEncoder().encode("hello ".repeat(100))
const plain = Buffer.from(zipSync({ "a.txt": hello, "b.txt": [hello, { level: 0 }] }, { mtime: "1980-01-01T00:00:00" }))

const changed = (change: (bytes: Buffer) => void): Buffer => {
  const copy = Buffer.from(plain)
  change(copy)
  return copy
}

const central = plain.indexOf(Buffer.from("504b0102", "hex"))
const end = plain.length - 22

const hostile: ReadonlyArray<readonly [what: string, archive: Uint8Array]> = [
  ["nothing", new Uint8Array(0)],
  ["random bytes", randomBytes(500)],
  ["an archive that was cut off", plain.subarray(0, plain.length - 5)],
  ["an archive with a comment behind it", Buffer.concat([plain, Buffer.from("x")])],
  ["a path that climbs out", zipSync({ "../evil.txt": hello })],
  ["an absolute path", zipSync({ "/etc/passwd": hello })],
  ["a path of Windows", zipSync({ "..\\evil.txt": hello })],
  ["a directory", zipSync({ "dir/a.txt": hello })],
  ["a name with control characters", zipSync({ "a\u001b[2J.txt": hello })],
  ["a name beyond ASCII", zipSync({ "\u202egnp.txt": hello })],
  ["two names that differ in case alone", zipSync({ "a.txt": hello, "A.txt": hello })],
  ["more files than a bundle has", zipSync(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${i}`, hello])))],
  ["a symbolic link", zipSync({ "a.txt": [hello, { attrs: 0o120777 << 16, os: 3 }] })],
  ["an encrypted file", changed((bytes) => bytes.writeUInt16LE(1, central + 8))],
  ["an unknown method", changed((bytes) => bytes.writeUInt16LE(14, central + 10))],
  ["a wrong checksum", changed((bytes) => bytes.writeUInt32LE(7, central + 16))],
  ["a size that is not the real one", changed((bytes) => bytes.writeUInt32LE(7, central + 24))],
  ["a bomb that says it is small", changed((bytes) => bytes.writeUInt32LE(10, central + 24))],
  ["a bomb that says it is large", changed((bytes) => bytes.writeUInt32LE(0xfffffff0, central + 24))],
  ["a local name that is another", changed((bytes) => bytes.write("z", 30))],
  ["a file that stands elsewhere", changed((bytes) => bytes.writeUInt32LE(1, central + 42))],
  ["a directory that begins elsewhere", changed((bytes) => bytes.writeUInt32LE(1, end + 16))],
  [
    "a count that is too small",
    changed((bytes) => {
      bytes.writeUInt16LE(1, end + 8)
      bytes.writeUInt16LE(1, end + 10)
    })
  ],
  ["several disks", changed((bytes) => bytes.writeUInt16LE(1, end + 4))],
  ["ZIP64 marks", changed((bytes) => bytes.writeUInt32LE(0xffffffff, end + 16))],
  ["a content with one bit turned", changed((bytes) => bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40))]
]

describe("readZip", () => {
  it("gives the files of an archive, packed or not", () => {
    const files = Result.getOrThrow(readZip(plain))
    assert.deepStrictEqual([...files.keys()], ["a.txt", "b.txt"])
    assert.deepStrictEqual(Buffer.from(files.get("a.txt")!), Buffer.from(hello))
    assert.deepStrictEqual(Buffer.from(files.get("b.txt")!), Buffer.from(hello))
  })

  it("gives what ZipWriter wrote, and ZipWriter writes the same bytes each time", () => {
    const write = () => {
      const zip = new ZipWriter()
      const file = zip.file("a.txt")
      for (let i = 0; i < 100; i++) file.push(hello)
      file.end()
      zip.file("empty").end()
      zip.end()
      return Buffer.concat(zip.take())
    }
    const files = Result.getOrThrow(readZip(write()))
    assert.strictEqual(files.get("a.txt")!.length, 100 * hello.length)
    assert.strictEqual(files.get("empty")!.length, 0)
    assert.deepStrictEqual(write(), write())
  })

  for (const [what, archive] of hostile) {
    it(`refuses ${what}, and so does the stand-alone verifier`, () => {
      assert.isTrue(Result.isFailure(readZip(archive)))
      assert.deepStrictEqual(verdicts(archive), ["tampered", "tampered"])
    })
  }

  it("never unpacks more than its bound: a bomb is refused by what it declares, before anything is unpacked", () => {
    const bomb = zipSync({ "a.txt": new Uint8Array(5_000_000) })
    assert.isBelow(bomb.length, 10_000)
    assert.isTrue(Result.isFailure(readZip(bomb, { maxBytes: 1_000_000, maxFiles: 32 })))
    assert.isTrue(Result.isSuccess(readZip(bomb, { maxBytes: 6_000_000, maxFiles: 32 })))
  })

  it("ends in an answer, never in an exception, whatever byte is changed", () => {
    for (let i = 0; i < plain.length; i++) {
      for (const value of [0, 0xff]) {
        const archive = changed((bytes) => void bytes.writeUInt8(value, i))
        Result.match(readZip(archive), { onFailure: () => undefined, onSuccess: () => undefined })
      }
    }
  })
})
