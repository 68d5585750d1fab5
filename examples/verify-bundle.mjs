#!/usr/bin/env node
// Checks an evidence bundle of effect-governance with nothing but Node 22 or later: no database, no secret, no package, none of
// our code. It follows docs/audit-format.md; read both. Usage: node verify-bundle.mjs evidence.zip [--checkpoint-key <key>]
// Exit 0 ok, 1 tampered or refused, 2 usage, 3 signed by another key, 4 nothing speaks against it and something is missing.
import { createHash, createPublicKey, verify } from "node:crypto"
import { readFileSync } from "node:fs"
import { crc32, inflateRawSync } from "node:zlib"

const sha = (data) => createHash("sha256").update(data).digest()
const hex = (data) => sha(data).toString("hex")
const fail = (text) => {
  throw new Error(text)
}
const attempt = (run) => {
  try {
    return run()
  } catch {
    return undefined
  }
}
const isHash = (text) => typeof text === "string" && /^[0-9a-f]{64}$/.test(text)
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const fingerprint = (whose, key) => hex(`effect-governance/${whose}/v1/fingerprint\n${key.toString("hex")}`)
const ed25519 = (key, data, signature) =>
  attempt(() => {
    const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key])
    return signature.length === 64 && verify(null, Buffer.from(data), createPublicKey({ key: der, format: "der", type: "spki" }), signature)
  }) === true
// RFC 8785: ECMAScript writes numbers and strings as it prescribes; keys are sorted by UTF-16 units.
const jcs = (v) =>
  Array.isArray(v)
    ? `[${v.map(jcs).join(",")}]`
    : v !== null && typeof v === "object"
      ? `{${Object.keys(v)
          .sort()
          .map((k) => `${jcs(k)}:${jcs(v[k])}`)
          .join(",")}}`
      : typeof v === "string" && !v.isWellFormed()
        ? fail("lone surrogate")
        : JSON.stringify(v)
/** The value of bytes that are one line of canonical JSON, else undefined. */
const canonical = (bytes) =>
  attempt(() => {
    const text = utf8.decode(bytes)
    const value = JSON.parse(text)
    return `${jcs(value)}\n` === text ? value : undefined
  })

/** The files of an archive that is nothing but an archive: everything told twice and equal, no paths, no gaps, no surprises. */
const unzip = (zip) => {
  const [u8, u16, u32] = [(at) => zip.readUInt8(at), (at) => zip.readUInt16LE(at), (at) => zip.readUInt32LE(at)]
  const end = zip.length - 22
  if (end < 0 || u32(end) !== 0x06054b50) fail("it is no ZIP archive, or was cut off")
  const [count, directory] = [u16(end + 10), u32(end + 16)]
  if (u32(end + 4) || u16(end + 8) !== count || u16(end + 20) || count > 32 || directory + u32(end + 12) !== end) fail("impossible directory")
  const [files, names] = [new Map(), new Set()]
  let [at, next, total] = [directory, 0, 0]
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || u32(at) !== 0x02014b50) fail("damaged directory")
    const [flags, method, crc, packed, size] = [u16(at + 8), u16(at + 10), u32(at + 16), u32(at + 20), u32(at + 24)]
    const [nameSize, local, mode] = [u16(at + 28), u32(at + 42), u8(at + 41) >>> 4]
    const name = zip.toString("latin1", at + 46, at + 46 + nameSize)
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) || names.has(name.toLowerCase())) fail("a name that is there twice or has a path")
    names.add(name.toLowerCase())
    if (flags & ~0x080e || (method !== 0 && method !== 8) || (mode !== 0 && mode !== 8)) fail(`${name}: encrypted, a link, or packed in an unknown way`)
    total += size
    if (total > 2 ** 31 - 1 || local !== next || local + 30 > directory) fail(`${name}: does not stand where it should, or is too large`)
    const start = local + 30 + nameSize + u16(local + 28)
    next = start + packed + (flags & 8 ? 16 : 0)
    const told = flags & 8 ? [0, 0, 0] : [crc, packed, size]
    const same = u32(local) === 0x04034b50 && u16(local + 6) === flags && u16(local + 8) === method && u16(local + 26) === nameSize
    if (!same || next > directory || told.some((v, j) => u32(local + 14 + 4 * j) !== v) || zip.toString("latin1", local + 30, local + 30 + nameSize) !== name) fail(`${name}: damaged`)
    if (flags & 8 && [0x08074b50, crc, packed, size].some((v, j) => u32(start + packed + 4 * j) !== v)) fail(`${name}: damaged`)
    const data = zip.subarray(start, start + packed)
    const content = method === 0 ? data : inflateRawSync(data, { maxOutputLength: Math.max(1, size) })
    if (content.length !== size || crc32(content) !== crc) fail(`${name}: damaged`)
    files.set(name, content)
    at += 46 + nameSize + u16(at + 30) + u16(at + 32)
  }
  return at === end && next === directory ? files : fail("bytes that belong to no file")
}
/** A verifier key: name, 8 hex digits, and Base64 of 0x01 and the 32 bytes of the key. */
export const keyOf = (text) => {
  const [, name, id, encoded] = /^([^+\s]{1,512})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/u.exec(text ?? "") ?? []
  const bytes = Buffer.from(encoded ?? "", "base64")
  const keyId = sha(Buffer.concat([Buffer.from(`${name}\n`), bytes])).subarray(0, 4)
  return bytes.length === 33 && bytes[0] === 1 && keyId.toString("hex") === id ? { name, publicKey: bytes.subarray(1), keyId, text } : undefined
}

/** The verdict on an archive, with everything that was found. `given`: the checkpoint key, from another source than the bundle. */
export const verifyBundle = (archive, given) => {
  const found = { problems: [], missing: [], notCovered: [], otherIdentity: false }
  try {
    check(unzip(archive), given, found)
  } catch (error) {
    found.problems.push(`the bundle cannot be read: ${error.message}`)
  }
  const verdict = found.problems.length > 0 ? "tampered" : found.otherIdentity ? "otherIdentity" : found.missing.length > 0 ? "unverifiable" : "ok"
  return { verdict, ...found }
}

const check = (files, given, found) => {
  const must = (holds, text) => void (holds || found.problems.push(text))
  const manifest = canonical(files.get("manifest.json"))
  const bundle = manifest?.bundle
  if (bundle?.version > 1) return void found.missing.push("a verifier of a later version")
  if (bundle?.version !== 1 || bundle.format !== "effect-governance/bundle") fail("manifest.json is missing or no manifest")
  found.notCovered.push(...bundle.notCovered, "The HMACs of rows and manifest: only the holder of the audit secret can check them.")
  // 1. Every file is the one that the manifest names, and there is no other.
  const named = new Set(bundle.files.map((file) => file.name))
  must(named.size === bundle.files.length, "manifest.json: names a file twice")
  const needed = ["cover.html", "events.jsonl", "keys.json", "proofs.json", "report.html", "report.json", "report.md", ...(bundle.covers ? ["checkpoint.txt"] : [])]
  for (const name of needed) must(named.has(name), `${name}: is not in the manifest`)
  for (const { name, bytes, sha256 } of bundle.files) must(files.get(name)?.length === bytes && hex(files.get(name)) === sha256, `${name}: is missing or was changed`)
  for (const name of files.keys()) must(name === "manifest.json" || named.has(name), `${name}: is not part of the bundle`)
  // 2. Who signed the manifest.
  const [keys, proofs, report] = ["keys.json", "proofs.json", "report.json"].map((name) => canonical(files.get(name)))
  must(keys && proofs !== undefined && report, "keys.json, proofs.json or report.json: cannot be read")
  const own = keyOf(keys?.checkpoint?.verifierKey)
  if (keys?.checkpoint)
    must(
      own?.publicKey.toString("hex") === keys.checkpoint.publicKey && fingerprint("checkpoint-key", own.publicKey) === keys.checkpoint.fingerprint,
      "keys.json: the checkpoint key contradicts itself"
    )
  if (!own) found.missing.push("a signature of the checkpoint key over the bundle as a whole")
  if (!given) found.missing.push("the checkpoint key from another source than this bundle (--checkpoint-key)")
  found.otherIdentity = Boolean(given && own && own.text !== given.text)
  const signers = (list) => JSON.stringify(list.map(({ algorithm, keyFingerprint }) => [algorithm, keyFingerprint]))
  must(signers(bundle.signedBy) === signers(manifest.signatures), "manifest.json: a signature is missing or one too many")
  must(!own || manifest.signatures.some((one) => one.algorithm === "Ed25519"), "manifest.json: the checkpoint key has not signed it")
  for (const { algorithm, keyFingerprint, hash, signature } of manifest.signatures) {
    const text = jcs({ algorithm, bundle, keyFingerprint })
    must(hash === hex(`effect-governance/bundle/v1/hash\n${text}`), "manifest.json: its hash is wrong")
    const signs = own && fingerprint("checkpoint-key", own.publicKey) === keyFingerprint && ed25519(own.publicKey, `effect-governance/bundle/v1/signature\n${text}`, Buffer.from(signature, "hex"))
    must(algorithm === "HMAC-SHA256" || (algorithm === "Ed25519" && signs), "manifest.json: its signature is wrong")
  }
  // 3. The checkpoint; the report by its id; the rows.
  checkNote(files.get("checkpoint.txt"), bundle, proofs, own ?? given, found, must)
  const { reportId, ...rest } = report ?? {}
  must(reportId === bundle.reportId && reportId === hex(`effect-governance/report/v1/hash\n${jcs(rest)}`), "report.json: its id is not that of its content")
  checkRows(files.get("events.jsonl") ?? Buffer.alloc(0), bundle, proofs?.leaves ?? [], keys?.agents ?? [], found, must)
}

const checkNote = (note, bundle, proofs, key, found, must) => {
  if (!bundle.covers) {
    found.missing.push("a checkpoint: nothing that left the database vouches for these rows")
    return must(!note && !proofs, "manifest.json: names no checkpoint, and there is one")
  }
  const [, body, lines] = /^([^\n]+\n\d+\n[A-Za-z0-9+/=]+\n(?:[^\n]+\n)*)\n((?:\u2014 \S+ [A-Za-z0-9+/=]+\n)+)$/u.exec(attempt(() => utf8.decode(note)) ?? "") ?? []
  if (body === undefined) return must(false, "checkpoint.txt: is no checkpoint")
  const [origin, size, encoded] = body.split("\n")
  const root = Buffer.from(encoded, "base64")
  for (const said of [bundle.covers, proofs])
    must(said?.origin === origin && said.size === Number(size) && said.root === root.toString("hex"), "checkpoint.txt: is another checkpoint than manifest and proofs name")
  must(!bundle.deploymentId || origin === `effect-governance/${bundle.deploymentId}`, "checkpoint.txt: is of another deployment")
  const own = lines
    .split("\n")
    .map((line) => [line.split(" ")[1], line.split(" ")[2], Buffer.from(line.split(" ")[2] ?? "", "base64")])
    .filter(([name, text, bytes]) => key?.name === name && bytes.toString("base64") === text && bytes.subarray(0, 4).equals(key.keyId))
  if (key) must(key.name === origin && own.length > 0 && own.every(([, , bytes]) => ed25519(key.publicKey, body, bytes.subarray(4))), "checkpoint.txt: it is not signed by the checkpoint key")
  must(new Set(proofs?.leaves.map((leaf) => leaf.chain)).size === proofs?.leaves.length, "proofs.json: a chain stands there twice")
  for (const { chain, hash, index, proof, seq } of proofs?.leaves ?? []) {
    let [at, last, node] = [index, Number(size) - 1, sha(Buffer.concat([Buffer.of(0), Buffer.from(jcs({ chain, hash, seq }))]))]
    let fits = at <= last && proof.every(isHash)
    for (const one of proof) {
      fits &&= last > 0
      const isRight = at % 2 === 1 || at === last
      node = sha(Buffer.concat(isRight ? [Buffer.of(1), Buffer.from(one, "hex"), node] : [Buffer.of(1), node, Buffer.from(one, "hex")]))
      while (isRight && at % 2 === 0 && at !== 0) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
      ;[at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
    }
    must(fits && last === 0 && node.equals(root), `proofs.json: ${chain} is not in the checkpoint`)
  }
}

const members = "agent,at,chain,id,inputHash,keyId,kind,metadata,model,outputHash,parent,prev,seq,session,signer,v"
const columns = "canonical,chain,hash,hmac,id,prev,seq,signature,signer"
const segmentId = (one) => jcs(["chain", "fromSeq", "toSeq", "firstPrev", "lastHash", "root"].map((key) => one[key] ?? null))
const checkRows = (bytes, bundle, leaves, agents, found, must) => {
  const keys = new Map(agents.map((key) => [key.fingerprint, { ...key, bytes: Buffer.from(key.publicKey, "hex") }]))
  for (const key of keys.values()) must(fingerprint("agent-key", key.bytes) === key.fingerprint, "keys.json: a fingerprint is not that of its key")
  const seen = new Map(bundle.chains.map((chain) => [chain.chain, { ...chain, count: 0 }]))
  const leaf = new Map(leaves.map((one) => [one.chain, one]))
  const [segments, pruned, strangers] = [[], new Set(), new Set()]
  must(seen.size === bundle.chains.length, "manifest.json: names a chain twice")
  let rows = 0
  for (let from = 0; from < bytes.length; rows++) {
    const end = bytes.indexOf(10, from) + 1 || bytes.length
    const row = canonical(bytes.subarray(from, end))
    const said = attempt(() => JSON.parse(row.canonical))
    from = end
    const isRow = said?.v === 1 && Object.keys(row).join() === columns && Object.keys(said).join() === members && attempt(() => jcs(said)) === row.canonical
    if (!isRow || !seen.has(row.chain)) {
      must(false, `events.jsonl, line ${rows + 1}: is no row in canonical form, or of no chain in the manifest`)
      continue
    }
    const [chain, where] = [seen.get(row.chain), `${row.chain}, row ${row.seq}`]
    for (const column of ["chain", "id", "prev", "seq", "signer"]) must(row[column] === said[column], `${where}: column ${column} contradicts the text`)
    must(attempt(() => new Date(said.at).toISOString()) === said.at, `${where}: impossible time`)
    must(row.hash === hex(`effect-governance/audit/v1/hash\n${row.canonical}`), `${where}: the text was changed after it was hashed`)
    if (chain.last || row.seq === 1) must(row.seq === (chain.last?.seq ?? 0) + 1 && row.prev === (chain.last?.hash ?? null), `${where}: does not follow the row before it`)
    if (row.signer === null || row.signer === "unsigned_local_failure") must(row.signature === null, `${where}: a signature without a signer`)
    else if (row.signature === null) must(false, `${where}: its signature was taken away`)
    else if (!keys.has(row.signer)) strangers.add(row.signer)
    else {
      const key = keys.get(row.signer)
      must(key.agent === said.agent && ed25519(key.bytes, `effect-governance/audit/v1/signature\n${row.canonical}`, Buffer.from(row.signature, "hex")), `${where}: its signature is wrong`)
      must(key.revokedAtMs === null || Date.parse(said.at) <= key.revokedAtMs, `${where}: signed after its key was revoked`)
    }
    if (row.chain === "operator" && said.kind === "audit.segment_sealed") segments.push(said.metadata)
    if (row.chain === "operator" && said.kind === "audit.segment_pruned") pruned.add(segmentId(said.metadata))
    Object.assign(chain, { first: chain.first ?? row, last: row, count: chain.count + 1 })
    if (leaf.get(row.chain)?.seq === row.seq) chain.atLeaf = row.hash
  }
  must(rows === bundle.rows, "events.jsonl: another number of rows than the manifest says")
  if (strangers.size > 0) found.missing.push(`the public keys of ${strangers.size} signers`)
  // Each chain is whole, or a seal says what was pruned; and what the checkpoint knows is there.
  for (const { chain, firstSeq, lastSeq, rows: told, count, first, last, atLeaf } of seen.values()) {
    must(count === told && (first?.seq ?? 0) === firstSeq && (count === 0 || last.seq === lastSeq), `${chain}: its rows are not those that the manifest names`)
    const before = first ? first.seq - 1 : lastSeq
    let [at, hash] = [0, null]
    while (at < before) {
      const next = segments.find((one) => one.chain === chain && one.fromSeq === at + 1 && one.firstPrev === hash && one.toSeq > at && pruned.has(segmentId(one)))
      if (next === undefined) break
      ;[at, hash] = [next.toSeq, next.lastHash]
    }
    must(before === 0 || (at === before && (!first || first.prev === hash)), `${chain}: rows 1 to ${before} are missing, and no seal says that they were pruned`)
    if (before > 0) found.notCovered.push(`${chain}: rows 1 to ${before} were pruned; a seal in chain operator says what they were`)
    const known = leaf.get(chain)
    const sealed = segments.find((one) => one.chain === chain && one.toSeq === known?.seq)
    if (known && (atLeaf !== undefined || known.seq >= (first?.seq ?? lastSeq + 1))) must(atLeaf === known.hash, `${chain}: row ${known.seq}, which the checkpoint knows, is missing or another`)
    else if (known && sealed) must(sealed.lastHash === known.hash, `${chain}: a seal is not what the checkpoint knows`)
  }
  for (const chain of leaf.keys()) must(seen.has(chain), `${chain}: is in the proofs and not in the manifest`)
}

if (import.meta.filename === process.argv[1] || process.argv[1]?.endsWith("/verify-bundle.mjs")) {
  const [file, flag, key, ...rest] = process.argv.slice(2)
  const [bytes, given] = [attempt(() => readFileSync(file)), keyOf(key)]
  if (bytes === undefined || rest.length > 0 || (flag !== undefined && !(flag === "--checkpoint-key" && given))) {
    console.error("usage: node verify-bundle.mjs evidence.zip [--checkpoint-key <name+hash+base64>]")
    process.exit(2)
  }
  const { verdict, problems, missing, notCovered } = verifyBundle(bytes, given)
  // What comes from the file is printed without anything that could move the cursor.
  const say = (prefix, list) =>
    list.slice(0, 50).forEach((text) => {
      console.log(`${prefix}: ${text.slice(0, 400).replace(/[^\x20-\x7e]/g, "?")}`)
    })
  say("verdict", [verdict])
  say("problem", problems)
  say("missing", missing)
  say("not covered", notCovered)
  process.exit({ ok: 0, tampered: 1, otherIdentity: 3, unverifiable: 4 }[verdict])
}
