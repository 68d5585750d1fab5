import { quoted, type RoleName, type SchemaName } from "./SchemaName.ts"

/** One file of `migrations/`, as the package carries it. `checksum` is the SHA-256 of the text before names are filled in. */
export interface MigrationFile {
  readonly id: number
  readonly name: string
  readonly checksum: string
  readonly sql: string
}

const grants = /^-- \{\{#app_role\}\}\n([\s\S]*?)^-- \{\{\/app_role\}\}$/gm

/** The statements of a file with the names filled in; its grants only when there is a role to grant to. */
export const statements = (sql: string, schema: SchemaName, appRole: RoleName | undefined): ReadonlyArray<string> =>
  split(fill(appRole === undefined ? sql.replace(grants, "") : sql, schema, appRole))

/** Only the grants of a file. They can be run any number of times. */
export const grantStatements = (sql: string, schema: SchemaName, appRole: RoleName): ReadonlyArray<string> =>
  Array.from(sql.matchAll(grants), (match) => split(fill(match[1] ?? "", schema, appRole))).flat()

const fill = (sql: string, schema: SchemaName, appRole: RoleName | undefined): string => {
  const named = sql.replaceAll("{{schema}}", quoted(schema))
  return appRole === undefined ? named : named.replaceAll("{{app_role}}", quoted(appRole))
}

// The extended protocol takes one statement at a time. A semicolon ends a statement unless it stands in a string, a quoted
// name, a comment or a dollar-quoted body; those alternatives come first, so they are stepped over whole.
const tokens = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]*)\$[\s\S]*?\$\1\$|;/g

export const split = (sql: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let start = 0
  const keep = (text: string) => {
    if (text.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, "").trim() !== "") found.push(text.trim())
  }
  for (const match of sql.matchAll(tokens)) {
    if (match[0] !== ";") continue
    keep(sql.slice(start, match.index))
    start = match.index + 1
  }
  keep(sql.slice(start))
  return found
}
