import type { ChainRow } from "../../schema/Envelope.ts"

const names = "chain,seq,id,at_ms,agent,session,parent,kind,key_id,signer,canonical,hash,prev,hmac,signature".split(",")

/** What `rowOf` reads, from a table by this name. */
export const columnsOf = (table: string) => names.map((name) => `${table}.${name}`).join(", ")

/** What `rowOf` reads, where no other table has such columns. */
export const columns = names.join(", ")

/** The edge of the driver: the table's column types are the proof, a check of each value would halve verification. */
export const rowOf = (values: ReadonlyArray<unknown>): ChainRow => new StoredRow(values as Values)

/** A value of the driver is a view of the socket's chunk, which it would keep alive. */
export const kept = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

type Values = readonly [
  chain: ChainRow["chain"],
  seq: bigint,
  id: ChainRow["id"],
  atMs: bigint,
  agent: ChainRow["agent"],
  session: ChainRow["session"],
  parent: ChainRow["parent"],
  kind: string,
  keyId: ChainRow["keyId"],
  signer: string | null,
  canonical: string,
  hash: Uint8Array,
  prev: Uint8Array | null,
  hmac: Uint8Array,
  signature: Uint8Array | null
]

/**
 * A class, because V8 learns from a literal how long its objects live. A page of rows, all of them alive for a moment, would
 * teach it that rows grow old, and a verification would fill the old generation with rows that nobody holds any more.
 */
class StoredRow implements ChainRow {
  declare readonly chain: ChainRow["chain"]
  declare readonly seq: number
  declare readonly id: ChainRow["id"]
  declare readonly atMs: number
  declare readonly agent: ChainRow["agent"]
  declare readonly session: ChainRow["session"]
  declare readonly parent: ChainRow["parent"]
  declare readonly kind: string
  declare readonly keyId: ChainRow["keyId"]
  declare readonly signer: string | null
  declare readonly canonical: string
  declare readonly hash: Uint8Array
  declare readonly prev: Uint8Array | null
  declare readonly hmac: Uint8Array
  declare readonly signature: Uint8Array | null

  constructor(values: Values) {
    // By index: taking fifteen columns apart by a pattern runs the iterator of arrays for every row of a whole log.
    this.chain = values[0]
    this.seq = Number(values[1])
    this.id = values[2]
    this.atMs = Number(values[3])
    this.agent = values[4]
    this.session = values[5]
    this.parent = values[6]
    this.kind = values[7]
    this.keyId = values[8]
    this.signer = values[9]
    this.canonical = values[10]
    this.hash = kept(values[11])
    this.prev = values[12] === null ? null : kept(values[12])
    this.hmac = kept(values[13])
    this.signature = values[14] === null ? null : kept(values[14])
  }
}
