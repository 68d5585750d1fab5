#!/usr/bin/env node
// Checks an evidence bundle of effect-governance with nothing but Node: no database, no secret, no package, none of our code.
// It follows docs/audit-format.md; read both. Usage: node verify-bundle.mjs evidence.zip [--checkpoint-key <name+hash+base64>]
// Exit 0 ok, 1 tampered or refused, 2 usage, 3 signed by another key, 4 nothing speaks against it and something is missing.
import { createHash, createPublicKey, verify } from "node:crypto"
import { readFileSync } from "node:fs"
import { crc32, inflateRawSync } from "node:zlib"

const problems = []
const missing = []
const notes = []
let otherIdentity = false
const must = (holds, text) => void (holds || problems.push(text))
const sha = (data) => createHash("sha256").update(data).digest()
const hex = (data) => sha(data).toString("hex")
const isHex = (text, bytes) => typeof text === "string" && /^([0-9a-f]{2})*$/.test(text) && (bytes === undefined || text.length === 2 * bytes)
const ed25519 = (publicKey, data, signature) => {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), publicKey])
  return verify(null, Buffer.from(data), createPublicKey({ key: der, format: "der", type: "spki" }), signature)
}
// RFC 8785: ECMAScript writes numbers and strings as it wants them; keys are sorted by UTF-16 units.
const jcs = (v) =>
  Array.isArray(v) ? `[${v.map(jcs).join(",")}]`
  : v !== null && typeof v === "object" ? `{${Object.keys(v).sort().map((k) => `${jcs(k)}:${jcs(v[k])}`).join(",")}}`
  : typeof v === "string" && !v.isWellFormed() ? fail("lone surrogate") : JSON.stringify(v)
const fail = (text) => { throw new Error(text) }
const attempt = (run) => { try { return run() } catch { return undefined } }
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
/** Text whose one line is the canonical form of its value. */
const canonical = (bytes) => attempt(() => {
  const text = utf8.decode(bytes)
  const value = JSON.parse(text)
  return `${jcs(value)}\n` === text ? value : undefined
})

/** The files of an archive that is nothing but an archive: everything told twice and equal, no paths, no gaps, no surprises. */
const unzip = (zip) => {
  const end = zip.length - 22
  if (end < 0 || zip.readUInt32LE(end) !== 0x06054b50) fail("no ZIP archive, or cut off")
  const count = zip.readUInt16LE(end + 10)
  const directory = zip.readUInt32LE(end + 16)
  if (zip.readUInt32LE(end + 4) || zip.readUInt16LE(end + 8) !== count || zip.readUInt16LE(end + 20) || count > 32 || directory + zip.readUInt32LE(end + 12) !== end) fail("impossible directory")
  const files = new Map()
  const names = new Set()
  let [at, next, total] = [directory, 0, 0]
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || zip.readUInt32LE(at) !== 0x02014b50) fail("damaged directory")
    const [flags, method, crc, packed, size] = [zip.readUInt16LE(at + 8), zip.readUInt16LE(at + 10), zip.readUInt32LE(at + 16), zip.readUInt32LE(at + 20), zip.readUInt32LE(at + 24)]
    const [nameSize, local, mode] = [zip.readUInt16LE(at + 28), zip.readUInt32LE(at + 42), zip.readUInt8(at + 41) >>> 4]
    const name = zip.toString("latin1", at + 46, at + 46 + nameSize)
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) || names.has(name.toLowerCase())) fail("a name that is twice there or has a path")
    names.add(name.toLowerCase())
    if (flags & ~0x080e || (method !== 0 && method !== 8) || (mode !== 0 && mode !== 8)) fail(`${name}: encrypted, a link, or packed in an unknown way`)
    if ((total += size) > 2 ** 31 - 1) fail("unpacks to too much")
    if (local !== next || local + 30 > directory) fail(`${name}: does not stand where it should`)
    const told = flags & 8 ? [0, 0, 0] : [crc, packed, size]
    const start = local + 30 + nameSize + zip.readUInt16LE(local + 28)
    next = start + packed + (flags & 8 ? 16 : 0)
    const head = [[0, 0x04034b50], [14, told[0]], [18, told[1]], [22, told[2]]].every(([o, v]) => zip.readUInt32LE(local + o) === v)
    const twice = zip.readUInt16LE(local + 6) === flags && zip.readUInt16LE(local + 8) === method && zip.readUInt16LE(local + 26) === nameSize
    if (!head || !twice || next > directory || zip.toString("latin1", local + 30, local + 30 + nameSize) !== name) fail(`${name}: damaged`)
    if (flags & 8 && ![0x08074b50, crc, packed, size].every((v, j) => zip.readUInt32LE(start + packed + 4 * j) === v)) fail(`${name}: damaged`)
    const data = zip.subarray(start, start + packed)
    const content = method === 0 ? data : inflateRawSync(data, { maxOutputLength: Math.max(1, size) })
    if (content.length !== size || crc32(content) !== crc) fail(`${name}: damaged`)
    files.set(name, content)
    at += 46 + nameSize + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  if (at !== end || next !== directory) fail("bytes that belong to no file")
  return files
}

/** A verifier key: name+8 hex digits+base64 of 0x01 and the 32 bytes of the key. */
const keyOf = (text) => {
  const [, name, id, encoded] = /^([^+\s]{1,512})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/u.exec(text ?? "") ?? []
  const bytes = Buffer.from(encoded ?? "", "base64")
  if (bytes.length !== 33 || bytes[0] !== 1) return undefined
  const keyId = sha(Buffer.concat([Buffer.from(`${name}\n`), bytes])).subarray(0, 4)
  return keyId.toString("hex") === id ? { name, publicKey: bytes.subarray(1), keyId, text } : undefined
}

const check = (files, given) => {
  const manifest = canonical(files.get("manifest.json"))
  if (manifest?.bundle?.version > 1) return void missing.push("a verifier of a later version")
  const bundle = manifest?.bundle
  if (bundle?.version !== 1 || bundle.format !== "effect-governance/bundle") return must(false, "manifest.json: is missing or no manifest")
  notes.push(...bundle.notCovered)
  // 1. Every file is the one that the manifest names, and there is no other.
  const named = new Map(bundle.files.map((file) => [file.name, file]))
  must(named.size === bundle.files.length, "manifest.json: names a file twice")
  for (const name of ["cover.html", "events.jsonl", "keys.json", "proofs.json", "report.html", "report.json", "report.md", ...(bundle.covers ? ["checkpoint.txt"] : [])]) must(named.has(name), `${name}: is not in the manifest`)
  for (const { name, bytes, sha256 } of named.values()) must(files.has(name) && files.get(name).length === bytes && hex(files.get(name)) === sha256, `${name}: is missing or was changed`)
  for (const name of files.keys()) must(name === "manifest.json" || named.has(name), `${name}: is not part of the bundle`)
  // 2. Who signed the manifest.
  const keys = canonical(files.get("keys.json"))
  const proofs = canonical(files.get("proofs.json"))
  must(keys !== undefined && proofs !== undefined, "keys.json or proofs.json: cannot be read")
  const own = keyOf(keys?.checkpoint?.verifierKey)
  const print = (label, key) => hex(`effect-governance/${label}/v1/fingerprint\n${key.toString("hex")}`)
  if (keys?.checkpoint) must(own && own.publicKey.toString("hex") === keys.checkpoint.publicKey && print("checkpoint-key", own.publicKey) === keys.checkpoint.fingerprint, "keys.json: the checkpoint key contradicts itself")
  if (!own) missing.push("a signature of the checkpoint key over the bundle as a whole")
  if (!given) missing.push("the checkpoint key from another source than this bundle (--checkpoint-key)")
  else if (own && own.text !== given.text) otherIdentity = true
  const signers = (list) => JSON.stringify(list.map(({ algorithm, keyFingerprint }) => [algorithm, keyFingerprint]))
  must(signers(bundle.signedBy) === signers(manifest.signatures), "manifest.json: a signature is missing or one too many")
  must(!own || manifest.signatures.some((one) => one.algorithm === "Ed25519"), "manifest.json: the checkpoint key has not signed it")
  for (const { algorithm, keyFingerprint, hash, signature } of manifest.signatures) {
    const text = jcs({ algorithm, bundle, keyFingerprint })
    must(hash === hex(`effect-governance/bundle/v1/hash\n${text}`), "manifest.json: its hash is wrong")
    if (algorithm !== "Ed25519") continue
    must(own && print("checkpoint-key", own.publicKey) === keyFingerprint && isHex(signature) && ed25519(own.publicKey, `effect-governance/bundle/v1/signature\n${text}`, Buffer.from(signature, "hex")), "manifest.json: its signature is wrong")
  }
  // 3. The checkpoint, and that the leaves are in its tree.
  checkNote(files.get("checkpoint.txt"), bundle, proofs, own ?? given)
  // 4. The report is the one that its id names.
  const { reportId, ...report } = canonical(files.get("report.json")) ?? {}
  must(reportId === bundle.reportId && reportId === hex(`effect-governance/report/v1/hash\n${jcs(report)}`), "report.json: its id is not that of its content")
  // 5. The rows.
  checkRows(files.get("events.jsonl") ?? Buffer.alloc(0), bundle, proofs?.leaves ?? [], keys?.agents ?? [], print)
}

const checkNote = (note, bundle, proofs, key) => {
  if (!bundle.covers) {
    missing.push("a checkpoint: nothing that left the database vouches for these rows")
    return must(!note && !proofs, "manifest.json: names no checkpoint, and there is one")
  }
  const [, body, lines] = /^([^\n]+\n\d+\n[A-Za-z0-9+/=]+\n(?:[^\n]+\n)*)\n((?:\u2014 \S+ [A-Za-z0-9+/=]+\n)+)$/u.exec(attempt(() => utf8.decode(note)) ?? "") ?? []
  if (body === undefined) return must(false, "checkpoint.txt: is no checkpoint")
  const [origin, size, encoded] = body.split("\n")
  const root = Buffer.from(encoded, "base64")
  for (const said of [bundle.covers, proofs]) must(said?.origin === origin && said.size === Number(size) && said.root === root.toString("hex"), "checkpoint.txt: is another checkpoint than manifest and proofs name")
  must(!bundle.deploymentId || origin === `effect-governance/${bundle.deploymentId}`, "checkpoint.txt: is of another deployment")
  if (key) {
    const own = lines.split("\n").flatMap((line) => {
      const [, name, signature] = line.split(" ")
      const bytes = Buffer.from(signature ?? "", "base64")
      return name === key.name && bytes.toString("base64") === signature && bytes.subarray(0, 4).equals(key.keyId) ? [bytes.subarray(4)] : []
    })
    must(key.name === origin && own.length > 0 && own.every((one) => ed25519(key.publicKey, body, one)), "checkpoint.txt: it is not signed by the checkpoint key")
  }
  must(new Set(proofs?.leaves.map((leaf) => leaf.chain)).size === proofs?.leaves.length, "proofs.json: a chain stands there twice")
  for (const { chain, hash, index, proof, seq } of proofs?.leaves ?? []) {
    let [at, last, node] = [index, Number(size) - 1, sha(Buffer.concat([Buffer.of(0), Buffer.from(jcs({ chain, hash, seq }))]))]
    let fits = at <= last && proof.every((one) => isHex(one, 32))
    for (const one of proof) {
      fits &&= last > 0
      const pair = at % 2 === 1 || at === last ? [Buffer.from(one, "hex"), node] : [node, Buffer.from(one, "hex")]
      if (at % 2 === 1 || at === last) while (at % 2 === 0 && at !== 0) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
      node = sha(Buffer.concat([Buffer.of(1), ...pair]))
      ;[at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
    }
    must(fits && last === 0 && node.equals(root), `proofs.json: ${chain} is not in the checkpoint`)
  }
}

const members = "agent,at,chain,id,inputHash,keyId,kind,metadata,model,outputHash,parent,prev,seq,session,signer,v"
const checkRows = (bytes, bundle, leaves, agents, print) => {
  const keys = new Map(agents.map((key) => [key.fingerprint, { ...key, bytes: Buffer.from(key.publicKey, "hex") }]))
  for (const key of keys.values()) must(print("agent-key", key.bytes) === key.fingerprint, "keys.json: a fingerprint is not that of its key")
  const seen = new Map(bundle.chains.map((chain) => [chain.chain, { ...chain, count: 0 }]))
  const leaf = new Map(leaves.map((one) => [one.chain, one]))
  const [segments, pruned, strangers] = [[], new Set(), new Set()]
  must(seen.size === bundle.chains.length, "manifest.json: names a chain twice")
  let [rows, from] = [0, 0]
  for (; from < bytes.length; rows++) {
    const end = bytes.indexOf(10, from)
    const row = end < 0 ? undefined : canonical(bytes.subarray(from, end + 1))
    const text = row?.canonical
    const said = attempt(() => JSON.parse(text))
    from = end < 0 ? bytes.length : end + 1
    const shaped = row && Object.keys(row).join() === "canonical,chain,hash,hmac,id,prev,seq,signature,signer"
    if (!shaped || !said || Object.keys(said).join() !== members || said.v !== 1 || attempt(() => jcs(said)) !== text) { must(false, `events.jsonl, line ${rows + 1}: is no row in canonical form`); continue }
    const where = `${row.chain}, row ${row.seq}`
    const chain = seen.get(row.chain)
    if (!chain) { must(false, `${where}: its chain is not in the manifest`); continue }
    for (const column of ["chain", "id", "prev", "seq", "signer"]) must(row[column] === said[column], `${where}: column ${column} contradicts the text`)
    must(attempt(() => new Date(said.at).toISOString()) === said.at, `${where}: impossible time`)
    must(row.hash === hex(`effect-governance/audit/v1/hash\n${text}`), `${where}: the text was changed after it was hashed`)
    if (chain.last ?? row.seq === 1) must(row.seq === (chain.last?.seq ?? 0) + 1 && row.prev === (chain.last?.hash ?? null), `${where}: does not follow the row before it`)
    if (row.signer === null || row.signer === "unsigned_local_failure") must(row.signature === null, `${where}: a signature without a signer`)
    else if (row.signature === null) must(false, `${where}: its signature was taken away`)
    else if (!keys.has(row.signer)) strangers.add(row.signer)
    else {
      const key = keys.get(row.signer)
      must(key.agent === said.agent && ed25519(key.bytes, `effect-governance/audit/v1/signature\n${text}`, Buffer.from(row.signature, "hex")), `${where}: its signature is wrong`)
      must(key.revokedAtMs === null || Date.parse(said.at) <= key.revokedAtMs, `${where}: signed after its key was revoked`)
    }
    if (row.chain === "operator" && said.kind === "audit.segment_sealed") segments.push(said.metadata)
    if (row.chain === "operator" && said.kind === "audit.segment_pruned") pruned.add(segmentId(said.metadata))
    chain.first ??= row
    chain.last = row
    chain.count++
    if (leaf.get(row.chain)?.seq === row.seq) chain.atLeaf = row.hash
  }
  must(rows === bundle.rows, "events.jsonl: another number of rows than the manifest says")
  if (strangers.size > 0) missing.push(`the public keys of ${strangers.size} signers`)
  // 6. Each chain is whole, or a seal says what was pruned; and what the checkpoint knows is there.
  for (const { chain, firstSeq, lastSeq, rows: told, count, first, last, atLeaf } of seen.values()) {
    must(count === told && (first?.seq ?? 0) === firstSeq && (count === 0 || last.seq === lastSeq), `${chain}: its rows are not those that the manifest names`)
    const before = first ? first.seq - 1 : lastSeq
    let [at, hash] = [0, null]
    for (let next; at < before; [at, hash] = [next.toSeq, next.lastHash]) {
      next = segments.find((one) => one.chain === chain && one.fromSeq === at + 1 && one.firstPrev === hash && one.toSeq > at && pruned.has(segmentId(one)))
      if (next === undefined) break
    }
    must(before === 0 || (at === before && hash !== null && (!first || first.prev === hash)), `${chain}: rows 1 to ${before} are missing, and no seal says that they were pruned`)
    if (before > 0) notes.push(`${chain}: rows 1 to ${before} were pruned`)
    const known = leaf.get(chain)
    if (!known) continue
    const sealed = segments.find((one) => one.chain === chain && one.toSeq === known.seq)
    if (atLeaf !== undefined || known.seq >= (first?.seq ?? lastSeq + 1)) must(atLeaf === known.hash, `${chain}: row ${known.seq}, which the checkpoint knows, is missing or another`)
    else must(!sealed || sealed.lastHash === known.hash, `${chain}: a seal is not what the checkpoint knows`)
  }
  for (const chain of leaf.keys()) must(seen.has(chain), `${chain}: is in the proofs and not in the manifest`)
}
const segmentId = ({ chain, fromSeq, toSeq, firstPrev, lastHash, root }) => JSON.stringify([chain, fromSeq, toSeq, firstPrev, lastHash, root])

const [file, ...rest] = process.argv.slice(2)
const given = rest[0] === "--checkpoint-key" ? keyOf(rest[1]) : undefined
const bytes = attempt(() => readFileSync(file))
if (bytes === undefined || (rest.length > 0 && (rest.length !== 2 || given === undefined))) {
  console.error("usage: node verify-bundle.mjs evidence.zip [--checkpoint-key <name+hash+base64>]")
  process.exit(2)
}
try { check(unzip(bytes), given) } catch (error) { problems.push(`the bundle cannot be read: ${error.message}`) }
const verdict = problems.length > 0 ? "tampered" : otherIdentity ? "otherIdentity" : missing.length > 0 ? "unverifiable" : "ok"
// What comes from the file is printed without anything that could move the cursor.
const say = (prefix, list) => list.slice(0, 50).forEach((text) => console.log(`${prefix}: ${text.slice(0, 400).replace(/[^\x20-\x7e]/g, "?")}`))
console.log(`verdict: ${verdict}`)
say("problem", problems)
say("missing", missing)
say("not covered", notes)
process.exit({ ok: 0, tampered: 1, otherIdentity: 3, unverifiable: 4 }[verdict])
