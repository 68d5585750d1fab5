// Checks an evidence bundle of effect-governance with nothing but Node 22 or later: no database, no secret, no package, none of our code.
// It follows docs/audit-format.md; read both. Exit 0 ok, 1 tampered or refused, 2 usage, 3 signed by another key, 4 nothing speaks against it and something is missing.
import { ok as must } from "node:assert"
import { createHash, verify } from "node:crypto"
import { readFileSync, realpathSync } from "node:fs"
import { crc32, inflateRawSync } from "node:zlib"

/** Everything that is checked goes through `must`: the first thing that is wrong ends the check. This does not end it. */
const attempt = (run, otherwise) => {
  try {
    return run()
  } catch (error) {
    return otherwise?.(error)
  }
}
const sha = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest()
const hex = (data) => sha(Buffer.from(data)).toString("hex")
const unhex = (text) => Buffer.from(/^(?:[0-9a-f]{2})*$/.test(text) ? text : "", "hex")
const fingerprint = (whose, key) => hex(`effect-governance/${whose}/v1/fingerprint\n${key.toString("hex")}`)
const signed = (key, text, signature) => verify(null, Buffer.from(text), { key: Buffer.concat([unhex("302a300506032b6570032100"), key]), format: "der", type: "spki" }, signature)
/** RFC 8785: ECMAScript writes numbers and strings as it prescribes; keys are sorted by UTF-16 units. */
const jcs = (value) => {
  if (Array.isArray(value)) return `[${value.map(jcs).join(",")}]`
  must(typeof value !== "string" || value.isWellFormed(), "lone surrogate")
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map((key) => `${jcs(key)}:${jcs(value[key])}`).join(",")}}`
}
const line = (value) => Buffer.from(`${jcs(value)}\n`)
const canonical = (bytes, name) => {
  const value = attempt(() => JSON.parse(bytes))
  must(value !== undefined && bytes.equals(line(value)), `${name}: is missing, or no line of canonical JSON`)
  return value
}
/** The files of an archive that is nothing but an archive: everything told twice and equal, no gaps, no surprises. */
const unzip = (zip) => {
  const [u16, u32, end] = [(at) => zip.readUInt16LE(at), (at) => zip.readUInt32LE(at), zip.length - 22]
  must(end >= 0 && u32(end) === 0x06054b50, "it is no ZIP archive, or was cut off")
  const [count, directory] = [u16(end + 10), u32(end + 16)]
  must(!u32(end + 4) && u16(end + 8) === count && !u16(end + 20) && count <= 9 && directory + u32(end + 12) === end, "impossible directory")
  let [at, next, total, files] = [directory, 0, 0, new Map()]
  for (let i = 0; i < count; i++) {
    const [flags, method, mode, crc, packed, size, nameSize] = [u16(at + 8), u16(at + 10), zip[at + 41] >>> 4, u32(at + 16), u32(at + 20), u32(at + 24), u16(at + 28)]
    const name = zip.toString("latin1", at + 46, at + 46 + nameSize)
    const isPlain = !(flags & ~0x080e) && [0, 8].includes(method) && [0, 8].includes(mode) && total + size < 2 ** 31 && !files.has(name)
    must(isPlain && u32(at) === 0x02014b50 && u32(at + 42) === next, "a file that is there twice, encrypted, a link, too large or somewhere else")
    // The header before the content says the same, but for three numbers if (bit 3 of the flags) they stand behind the content.
    const [said, start] = [Buffer.from(zip.subarray(at + 6, at + 30)), next + 30 + nameSize + u16(next + 28)]
    const behind = flags & 8 ? Buffer.concat([unhex("504b0708"), said.subarray(10, 22)]) : Buffer.alloc(0)
    if (flags & 8) said.fill(0, 10, 22)
    const isSame = u32(next) === 0x04034b50 && zip.subarray(next + 4, next + 28).equals(said) && zip.toString("latin1", next + 30, next + 30 + nameSize) === name
    ;[at, next, total] = [at + 46 + nameSize + u16(at + 30) + u16(at + 32), start + packed + behind.length, total + size]
    const content = method === 0 ? zip.subarray(start, start + packed) : inflateRawSync(zip.subarray(start, start + packed), { maxOutputLength: Math.max(1, size) })
    must(isSame && next <= directory && zip.subarray(start + packed, next).equals(behind) && content.length === size && crc32(content) === crc, "a file is damaged")
    files.set(name, content)
  }
  must(at === end && next === directory, "bytes that belong to no file")
  return files
}
/** The files of a bundle that is one line of JSON: its members, and a manifest made of those that sign. */
const unjson = (bytes) => {
  const { bundle, bundleHash, bundleSignature, checkpoint, events, publicSignature, ...rest } = canonical(bytes, "the bundle")
  const isWhole = Object.keys(rest).join() === "chainVerification,keys,proofs,report" && bundleSignature.hash === undefined
  must(isWhole && Array.isArray(events) && (checkpoint === null || typeof checkpoint === "string"), "it is no bundle, or was cut off")
  const signatures = [publicSignature, { ...bundleSignature, hash: bundleHash }].filter((one) => one !== null)
  const files = Object.entries({ ...rest, manifest: { bundle, signatures } }).map(([name, value]) => [`${name}.json`, line(value)])
  return new Map([...files, ["events.jsonl", Buffer.concat(events.map(line))], ...(checkpoint === null ? [] : [["checkpoint.txt", Buffer.from(checkpoint)]])])
}
/** A verifier key: name, 8 hex digits, and Base64 of 0x01 and the 32 bytes of the key. */
export const keyOf = (text) => {
  const [, name, id, encoded] = /^([^+\s]{1,512})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/u.exec(text ?? "") ?? []
  const bytes = Buffer.from(encoded ?? "", "base64")
  const keyId = sha(Buffer.from(`${name}\n`), bytes).subarray(0, 4)
  return bytes.length === 33 && bytes[0] === 1 && keyId.toString("hex") === id ? { name, publicKey: bytes.subarray(1), keyId, text } : undefined
}
/** The verdict on a bundle. `given`: the checkpoint key, from another source than the bundle. */
export const verifyBundle = (bytes, given, missing = [], notCovered = []) => {
  const tampered = ({ message }) => ({ verdict: "tampered", problem: [message], missing, notCovered })
  return attempt(() => ({ verdict: check(bytes, given, missing, notCovered), missing, notCovered }), tampered)
}
/** In order: every file is what the manifest names, and no other; who signed; the checkpoint; the report by its id; the rows. */
const check = (input, given, missing, notCovered) => {
  const files = input[0] === 0x7b ? unjson(input) : unzip(input)
  const { bundle, signatures, ...others } = canonical(files.get("manifest.json"), "manifest.json")
  if (Number.isInteger(bundle?.version) && bundle.version > 1) return missing.push("a verifier of a later version") && "unverifiable"
  must(Object.keys(others).length === 0 && bundle?.version === 1 && bundle.format === "effect-governance/bundle", "manifest.json: is no manifest")
  notCovered.push(...bundle.notCovered, "The HMACs of rows and manifest: only the holder of the audit secret can check them.")
  const core = ["events.jsonl", "keys.json", "manifest.json", "proofs.json", "report.json", ...(bundle.covers ? ["checkpoint.txt"] : [])]
  const wanted = [...core, ...(input[0] === 0x7b ? ["chainVerification.json"] : ["cover.html", "report.html", "report.md"])].sort().join()
  const named = ["manifest.json", ...bundle.files.map(({ name }) => name)].sort().join()
  must(named === wanted && named === [...files.keys()].sort().join(), "a file is missing, or one too many")
  for (const { name, bytes, sha256 } of bundle.files) must(files.get(name).length === bytes && hex(files.get(name)) === sha256, `${name}: was changed`)
  const [keys, proofs, report] = ["keys.json", "proofs.json", "report.json"].map((name) => canonical(files.get(name), name))
  const own = keyOf(keys.checkpoint?.verifierKey)
  const print = own && fingerprint("checkpoint-key", own.publicKey)
  must(print === keys.checkpoint?.fingerprint && own?.publicKey.toString("hex") === keys.checkpoint?.publicKey, "keys.json: the checkpoint key contradicts itself")
  if (!own) missing.push("a signature of the checkpoint key over the bundle as a whole")
  if (!given) missing.push("the checkpoint key from another source than this bundle (--checkpoint-key)")
  const said = jcs(signatures.map(({ algorithm, keyFingerprint }) => ({ algorithm, keyFingerprint })))
  must(said === jcs(bundle.signedBy) && (!own || bundle.signedBy.some(({ algorithm }) => algorithm === "Ed25519")), "manifest.json: a signature is missing or one too many")
  for (const { algorithm, keyFingerprint, hash, signature, ...more } of signatures) {
    const text = jcs({ algorithm, bundle, keyFingerprint })
    const isOurs = print === keyFingerprint && signed(own.publicKey, `effect-governance/bundle/v1/signature\n${text}`, unhex(signature))
    const isKnown = Object.keys(more).length === 0 && unhex(signature).length > 0 && (algorithm === "HMAC-SHA256" || (algorithm === "Ed25519" && isOurs))
    must(isKnown && hash === hex(`effect-governance/bundle/v1/hash\n${text}`), "manifest.json: its hash or its signature is wrong")
  }
  if (bundle.covers) checkNote(files.get("checkpoint.txt").toString(), bundle, proofs, own ?? given)
  else missing.push("a checkpoint: nothing that left the database vouches for these rows")
  must(!bundle.covers === !proofs, "proofs.json: names a checkpoint that the manifest does not know")
  checkReport(report, bundle)
  checkRows(files.get("events.jsonl"), bundle, new Map(proofs?.leaves.map((leaf) => [leaf.chain, leaf])), keys.agents, missing, notCovered)
  return given && own && own.text !== given.text ? "otherIdentity" : missing.length > 0 ? "unverifiable" : "ok"
}
const checkReport = ({ reportId, ...report }, bundle) => {
  must(reportId === hex(`effect-governance/report/v1/hash\n${jcs(report)}`), "report.json: its id is not that of its content")
  const [scope, gaps] = [{ agentId: report.agentId, sessionIds: report.sessionIds, ...report.dateRange }, [report.coverageCaveat, ...report.notCovered]]
  const said = { ...report, covers: report.checkpoint, createdAt: report.generatedAt, format: bundle.format, notCovered: gaps, reportId, scope }
  const isSaid = Object.keys(bundle).every((key) => !(key in said) || jcs(said[key]) === jcs(bundle[key])) && bundle.reportId === reportId
  must(isSaid, "manifest.json: says something else than the report")
  must(bundle.chainIntegrityStatus !== "failed", "report.json: whoever made this bundle found its chains tampered with, and says where")
}
const checkNote = (note, bundle, proofs, key) => {
  const [, body, lines] = /^([^\n]+\n\d+\n[A-Za-z0-9+/=]+\n(?:[^\n]+\n)*)\n((?:\u2014 \S+ [A-Za-z0-9+/=]+\n)+)$/u.exec(note) ?? []
  must(body, "checkpoint.txt: is no checkpoint")
  const [origin, size, encoded] = body.split("\n")
  const isSame = (said) => said.origin === origin && said.size === Number(size) && said.root === Buffer.from(encoded, "base64").toString("hex")
  const isOurs = bundle.deploymentId === null || origin === `effect-governance/${bundle.deploymentId}`
  must(isSame(bundle.covers) && isSame(proofs) && isOurs, "checkpoint.txt: is another checkpoint than manifest and proofs name, or of another deployment")
  const own = [...lines.matchAll(/\u2014 (\S+) (\S+)\n/gu)].filter(([, name, text]) => name === key?.name && Buffer.from(text, "base64").subarray(0, 4).equals(key.keyId))
  const isSigned = own.length > 0 && own.every(([, , text]) => signed(key.publicKey, body, Buffer.from(text, "base64").subarray(4)))
  must(!key || (key.name === origin && isSigned), "checkpoint.txt: it is not signed by the checkpoint key")
  must(new Set(proofs.leaves.map(({ chain }) => chain)).size === proofs.leaves.length, "proofs.json: a chain stands there twice")
  for (const { chain, hash, index, proof, seq } of proofs.leaves) {
    const leaf = sha(Buffer.of(0), Buffer.from(jcs({ chain, hash, seq })))
    must(rootFrom(leaf, index, Number(size), proof.map(unhex)).toString("hex") === proofs.root, `proofs.json: ${chain} is not in the checkpoint`)
  }
}
/** The root that a leaf and its proof lead to: RFC 9162, 2.1.3. */
const rootFrom = (node, index, size, proof) => {
  must(Number.isInteger(index) && index >= 0 && index < size && (size === 1 ? proof.length === 0 : proof.at(-1)?.length === 32), "proofs.json: a proof is not one of this tree")
  if (size === 1) return node
  const [half, rest, last] = [2 ** (Math.ceil(Math.log2(size)) - 1), proof.slice(0, -1), proof.at(-1)]
  return index < half ? sha(Buffer.of(1), rootFrom(node, index, half, rest), last) : sha(Buffer.of(1), last, rootFrom(node, index - half, size - half, rest))
}
const members = "agent,at,chain,id,inputHash,keyId,kind,metadata,model,outputHash,parent,prev,seq,session,signer,v"
const columns = "canonical,chain,hash,hmac,id,prev,seq,signature,signer"
const typed = ([key, said]) => typeof said === "string" || /^(metadata|seq|v)$/.test(key) || (said === null && !/^(agent|at|chain|id|keyId|kind)$/.test(key))
const segmentId = (one) => jcs(["chain", "fromSeq", "toSeq", "firstPrev", "lastHash", "root"].map((key) => one[key] ?? null))
const checkRows = (bytes, bundle, leaves, agents, missing, notCovered) => {
  const keys = new Map(agents.map((key) => [key.fingerprint, { ...key, bytes: unhex(key.publicKey) }]))
  for (const key of keys.values()) must(fingerprint("agent-key", key.bytes) === key.fingerprint && key.revokedAtMs !== undefined && (key.revokedAtMs ?? 0) % 1 === 0, "keys.json: contradicts itself")
  const chains = new Map(bundle.chains.map((chain) => [chain.chain, { ...chain, count: 0 }]))
  let [segments, pruned, strangers, rows, beyond] = [[], new Set(), new Set(), 0, 0]
  for (let from = 0, end = 0; from < bytes.length; from = end) {
    end = bytes.indexOf(10, from) + 1 || bytes.length
    const row = canonical(bytes.subarray(from, end), `events.jsonl, byte ${from}`)
    const said = attempt(() => JSON.parse(row.canonical))
    const isRow = said?.v === 1 && Object.keys(row).join() === columns && Object.keys(said).join() === members && jcs(said) === row.canonical && unhex(row.hmac)[31] >= 0
    must(isRow && chains.has(row.chain), `events.jsonl, byte ${from}: is no row, or of no chain in the manifest`)
    const [chain, leaf, key, where] = [chains.get(row.chain), leaves.get(row.chain), keys.get(row.signer), `${row.chain}, row ${row.seq}`]
    const isSame = ["chain", "id", "prev", "seq", "signer"].every((column) => row[column] === said[column])
    must(isSame && new Date(said.at).toISOString() === said.at, `${where}: a column contradicts the text, or its time is impossible`)
    must(row.hash === hex(`effect-governance/audit/v1/hash\n${row.canonical}`), `${where}: the text was changed after it was hashed`)
    must(row.seq === (chain.last?.seq ?? 0) + 1 ? row.prev === (chain.last?.hash ?? null) : !chain.last && row.seq > 1, `${where}: does not follow the row before it`)
    must(Object.entries(said).every(typed) && (row.signature === null) === [null, "unsigned_local_failure"].includes(row.signer), `${where}: its signature was taken away, or has no signer`)
    if (row.signature !== null && !key) strangers.add(row.signer)
    const fits = key?.agent === said.agent && signed(key.bytes, `effect-governance/audit/v1/signature\n${row.canonical}`, unhex(row.signature))
    must(!key || (fits && Date.parse(said.at) <= (key.revokedAtMs ?? Number.POSITIVE_INFINITY)), `${where}: its signature is wrong, or its key was revoked before`)
    if (row.chain === "operator" && said.kind === "audit.segment_sealed") segments.push(said.metadata)
    if (row.chain === "operator" && said.kind === "audit.segment_pruned") pruned.add(segmentId(said.metadata))
    Object.assign(chain, { first: chain.first ?? row, last: row, count: chain.count + 1, atLeaf: leaf?.seq === row.seq ? row.hash : chain.atLeaf })
    ;[rows, beyond] = [rows + 1, beyond + (row.seq > (leaf?.seq ?? 0) ? 1 : 0)]
  }
  if (strangers.size > 0) missing.push(`the public keys of ${strangers.size} signers`)
  if (bundle.covers && beyond > 0) notCovered.push(`What came after the checkpoint: nothing that left the database vouches for ${beyond} of these rows.`)
  must(rows === bundle.rows && chains.size === bundle.chains.length && leaves.keys().every((chain) => chains.has(chain)), "manifest.json: its chains are not those of the rows and proofs")
  for (const chain of chains.values()) checkChain(chain, segments, pruned, leaves.get(chain.chain), notCovered)
}
/** A chain is whole, or a seal says what was pruned; and what the checkpoint knows is there. */
const checkChain = ({ chain, firstSeq, lastSeq, rows, count, first, last, atLeaf }, segments, pruned, leaf, notCovered) => {
  must(count === rows && (first?.seq ?? 0) === firstSeq && (count === 0 || last.seq === lastSeq), `${chain}: its rows are not those that the manifest names`)
  const [before, own] = [first ? first.seq - 1 : lastSeq, segments.filter((one) => one.chain === chain && pruned.has(segmentId(one)))]
  let [at, hash] = [0, null]
  for (const one of own) if (one.fromSeq === at + 1 && one.firstPrev === hash && at < one.toSeq && at < before) [at, hash] = [one.toSeq, one.lastHash]
  must(at === before && (!first || first.prev === hash), `${chain}: rows 1 to ${before} are missing, and no seal says that they were pruned`)
  if (before > 0) notCovered.push(`${chain}: rows 1 to ${before} were pruned; a seal in chain operator says what they were`)
  const known = leaf?.seq > before ? atLeaf : (own.find((one) => one.toSeq === leaf?.seq)?.lastHash ?? leaf?.hash)
  must(!leaf || known === leaf.hash, `${chain}: row ${leaf?.seq} is not the one that the checkpoint knows, or is missing`)
}
if (attempt(() => realpathSync(process.argv[1])) === import.meta.filename) {
  const [file, flag, key, ...rest] = process.argv.slice(2)
  const [bytes, given] = [attempt(() => readFileSync(file)), keyOf(key)]
  const isAsked = file && rest.length === 0 && (flag === undefined || (flag === "--checkpoint-key" && given))
  const { verdict, ...found } = !isAsked ? { verdict: "usage: verify-bundle.mjs evidence.zip [--checkpoint-key <key>]" } : bytes ? verifyBundle(bytes, given) : { verdict: `${file} cannot be read` }
  // What comes from the file is printed without anything that could move the cursor.
  for (const [what, texts] of Object.entries({ verdict: [verdict], ...found })) for (const text of texts.slice(0, 50)) console.log(`${what}: ${text.slice(0, 400).replace(/[^\x20-\x7e]/g, "?")}`)
  process.exit({ ok: 0, tampered: 1, otherIdentity: 3, unverifiable: 4 }[verdict] ?? 2)
}
