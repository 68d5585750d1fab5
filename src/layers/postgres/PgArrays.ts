/** Array parameters by element type: the driver sends them in binary, also when they are empty or hold only nulls. */
import { PgTypes } from "@effect/sql-pg"
import { Result } from "effect"

// A bad element fails later, as the query's own error; only an unknown element type would throw here.
const array = (oid: number) => (values: ReadonlyArray<unknown>) => Result.getOrThrow(PgTypes.array(values, oid))

export const texts = array(PgTypes.OID.text)
export const uuids = array(PgTypes.OID.uuid)
export const int4s = array(PgTypes.OID.int4)
export const int8s = array(PgTypes.OID.int8)
export const byteas = array(PgTypes.OID.bytea)
