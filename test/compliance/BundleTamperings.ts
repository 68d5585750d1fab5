// biome-ignore-all lint/suspicious/noExplicitAny: what is tampered with has no shape
import { drop, type Files, json, put, resign, rewritten, rows, sha256, textOf, zip } from "./Tampering.ts"
import * as Trees from "./Trees.ts"

/** One way to change a bundle: its files, or the bytes of the archive. */
export type Tampering = readonly [what: string, change: (files: Files, earlier: string) => Files | Uint8Array]

const at =
  (n: number, change: (row: Record<string, any>) => Record<string, any>) => (all: Array<Record<string, any>>) =>
    all.map((row, i) => (i === n ? change(row) : row))

const session = (all: Array<Record<string, any>>) => all.findIndex(({ chain }) => chain === "session:order-4711")

/** What somebody does who cannot sign: the manifest or a hash gives it away. */
export const withoutKey: ReadonlyArray<Tampering> = [
  ...["checkpoint.txt", "cover.html", "events.jsonl", "keys.json", "manifest.json", "proofs.json"]
    .concat(["report.html", "report.json", "report.md"])
    .flatMap(
      (name): ReadonlyArray<Tampering> => [
        [`${name} is taken away`, (files) => drop(files, name)],
        [`${name} is emptied`, (files) => put(files, name, "")],
        [`a bit of ${name} is turned at its middle`, (files) => put(files, name, flipped(files.get(name)!, 0.5))],
        [`a bit of ${name} is turned near its end`, (files) => put(files, name, flipped(files.get(name)!, 0.9))],
        [`${name} gets one more line`, (files) => put(files, name, `${textOf(files, name)}{}\n`)]
      ]
    ),
  ["a file is added", (files) => put(files, "extra.txt", "hello")],
  [
    "an earlier checkpoint of the same key stands in for the right one",
    (files, earlier) => put(files, "checkpoint.txt", earlier)
  ],
  [
    "a signature is stripped from the manifest",
    (files) => json(files, "manifest.json", (m) => ({ ...m, signatures: [] }))
  ],
  [
    "both the signature and its mention are stripped",
    (files) => json(files, "manifest.json", (m) => ({ bundle: { ...m.bundle, signedBy: [] }, signatures: [] }))
  ],
  [
    "the Ed25519 signature is called an HMAC",
    (files) =>
      json(files, "manifest.json", (m) => ({
        ...m,
        signatures: m.signatures.map((one: object) => ({ ...one, algorithm: "HMAC-SHA256" }))
      }))
  ],
  [
    "the manifest says less is not covered",
    (files) => json(files, "manifest.json", (m) => ({ ...m, bundle: { ...m.bundle, notCovered: [] } }))
  ],
  [
    "the manifest gets one more member",
    (files) => json(files, "manifest.json", (m) => ({ ...m, note: "all is well" }))
  ],
  [
    "a signature gets one more member",
    (files) =>
      json(files, "manifest.json", (m) => ({
        ...m,
        signatures: m.signatures.map((one: object) => ({ ...one, note: "all is well" }))
      }))
  ],
  ["the archive is cut off", (files) => zip(files).subarray(0, -1)],
  ["the archive begins with other bytes", (files) => Buffer.concat([Buffer.from("MZ"), zip(files)])],
  ["nothing is left", () => new Uint8Array(0)]
]

/** What the holder of the key himself cannot do without being found out: the rows and the checkpoint speak for themselves. */
export const withKey: ReadonlyArray<Tampering> = [
  [
    "a row is removed from the middle",
    (files) => resign(rows(files, (all) => all.filter((_, i) => i !== session(all) + 2)))
  ],
  ["two rows change places", (files) => resign(rows(files, (all) => swap(all, session(all) + 1, session(all) + 2)))],
  [
    "two rows change numbers",
    (files) =>
      resign(
        rows(files, (all) => all.map((row, i) => (i === 1 ? { ...row, seq: 2 } : i === 2 ? { ...row, seq: 1 } : row)))
      )
  ],
  ["the first row is removed", (files) => resign(rows(files, (all) => all.filter((_, i) => i !== session(all))))],
  ["a row stands there twice", (files) => resign(rows(files, (all) => [...all, all[0]!]))],
  [
    "a row that the checkpoint knows is cut off at the end",
    (files) => {
      const cut = rows(files, (all) => all.filter(({ chain, seq }) => chain !== "session:order-4711" || seq < 8))
      return resign(cut, Trees.key, (bundle) => ({
        ...bundle,
        rows: bundle.rows - (bundle.chains.find(({ chain }) => chain === "session:order-4711")!.rows - 7),
        chains: bundle.chains.map((one) => (one.chain === "session:order-4711" ? { ...one, rows: 7, lastSeq: 7 } : one))
      }))
    }
  ],
  [
    "a whole session disappears",
    (files) => {
      const gone = rows(files, (all) => all.filter(({ chain }) => chain !== "session:mail-1"))
      return resign(gone, Trees.key, (bundle) => ({
        ...bundle,
        rows: bundle.rows - 2,
        chains: bundle.chains.filter(({ chain }) => chain !== "session:mail-1")
      }))
    }
  ],
  [
    "a text is changed",
    (files) =>
      resign(
        rows(
          files,
          at(1, (row) => ({ ...row, canonical: row.canonical.replace("refund", "rebate") }))
        )
      )
  ],
  [
    "a text is changed and hashed anew",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) =>
            rewritten(row, (said) => {
              said.kind = "tool.none"
            })
          )
        )
      )
  ],
  [
    "a last row is changed and hashed anew, so that every link fits",
    (files) =>
      resign(
        rows(files, (all) =>
          all.map((row, i) =>
            i + 1 < all.length && all[i + 1]!.chain === row.chain
              ? row
              : rewritten(row, (said) => {
                  said.model = "other"
                })
          )
        )
      )
  ],
  [
    "a column contradicts the text",
    (files) =>
      resign(
        rows(
          files,
          at(1, (row) => ({ ...row, id: "00000000-0000-4000-8000-000000000000" }))
        )
      )
  ],
  [
    "a text gets one more member",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) =>
            rewritten(row, (said) => {
              said.extra = 1
            })
          )
        )
      )
  ],
  [
    "a text is no longer canonical",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) => ({ ...row, canonical: ` ${row.canonical}` }))
        )
      )
  ],
  [
    "a line holds half a surrogate pair",
    (files) => resign(put(files, "events.jsonl", textOf(files, "events.jsonl").replace('"id":"', '"id":"\\ud800')))
  ],
  [
    "a text is no JSON",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) => ({ ...row, canonical: "{" }))
        )
      )
  ],
  [
    "a signature without a signer appears",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) => ({ ...row, signature: "00".repeat(64) }))
        )
      )
  ],
  [
    "a signature is stripped from a row that names a signer",
    (files) =>
      resign(
        rows(
          files,
          at(0, (row) => ({
            ...rewritten(row, (said) => {
              said.signer = "ab".repeat(32)
            }),
            signer: "ab".repeat(32)
          }))
        )
      )
  ],
  [
    "a note of another tree is put in",
    (files) => {
      const other = new Trees.Tree()
      other.leaves.push({ chain: "operator", seq: 1, hash: new Uint8Array(32) })
      other.size = 1
      return resign(put(files, "checkpoint.txt", other.note()))
    }
  ],
  [
    "an earlier note is put in and everything signed anew",
    (files, earlier) => resign(put(files, "checkpoint.txt", earlier))
  ],
  [
    "the note is signed by a stranger",
    (files) => {
      const stranger = Trees.keyOf(8)
      const [text] = textOf(files, "checkpoint.txt").split("\n\n")
      const signature = Buffer.concat([
        Buffer.from("f8c763c5", "hex"),
        Buffer.from(stranger.sign(new TextEncoder().encode(`${text}\n`)))
      ])
      return resign(
        put(files, "checkpoint.txt", `${text}\n\n\u2014 ${stranger.name} ${signature.toString("base64")}\n`)
      )
    }
  ],
  [
    "a proof is for another place",
    (files) =>
      resign(
        json(files, "proofs.json", (p) => ({
          ...p,
          leaves: p.leaves.map((leaf: any, i: number) => (i === 0 ? { ...leaf, index: leaf.index + 1 } : leaf))
        }))
      )
  ],
  [
    "a proof loses a node",
    (files) =>
      resign(
        json(files, "proofs.json", (p) => ({
          ...p,
          leaves: p.leaves.map((leaf: any) => ({ ...leaf, proof: leaf.proof.slice(1) }))
        }))
      )
  ],
  [
    "a leaf stands there twice",
    (files) => resign(json(files, "proofs.json", (p) => ({ ...p, leaves: [...p.leaves, p.leaves[0]] })))
  ],
  [
    "the report is another one under the same id",
    (files) => resign(json(files, "report.json", (r) => ({ ...r, coveragePct: 1 })))
  ],
  [
    "the manifest names a chain twice",
    (files) => resign(files, Trees.key, (b) => ({ ...b, chains: [...b.chains, b.chains[0]!] }))
  ],
  [
    "the manifest names one more file, and it is there",
    (files) =>
      resign(put(files, "extra.txt", "hello"), Trees.key, (b) => ({
        ...b,
        files: [...b.files, { name: "extra.txt", bytes: 5, sha256: sha256("hello") }]
      }))
  ],
  ["the manifest says that less is missing", (files) => resign(files, Trees.key, (b) => ({ ...b, notCovered: [] }))],
  [
    "the manifest has another scope than the report",
    (files) => resign(files, Trees.key, (b) => ({ ...b, scope: { ...b.scope, agentId: "billing-agent" } }))
  ],
  [
    "the manifest has another status of the chains than the report",
    (files) => resign(files, Trees.key, (b) => ({ ...b, chainIntegrityStatus: "unverified" as const }))
  ],
  [
    "the manifest names another report",
    (files) => resign(files, Trees.key, (b) => ({ ...b, reportId: "ab".repeat(32) }))
  ],
  ["the manifest counts wrongly", (files) => resign(files, Trees.key, (b) => ({ ...b, rows: b.rows + 1 }))],
  ["the manifest forgets a file", (files) => resign(files, Trees.key, (b) => ({ ...b, files: b.files.slice(1) }))],
  [
    "the manifest is of another deployment",
    (files) => resign(files, Trees.key, (b) => ({ ...b, deploymentId: "other" }))
  ]
]

const flipped = (bytes: Uint8Array, where: number) => {
  const copy = Uint8Array.from(bytes)
  copy[Math.floor(copy.length * where)]! ^= 1
  return copy
}

const swap = (all: Array<Record<string, any>>, a: number, b: number) =>
  all.map((row, i) => (i === a ? all[b]! : i === b ? all[a]! : row))
