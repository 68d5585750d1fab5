import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Generator } from "../generate.ts"

/** Puts the `*.sql` of a folder into a module, so that they travel with the compiled package. */
export const moduleOf = (folder: string, output: string, name: string): Generator => ({
  output,
  generate: () => {
    const seen = new Set<number>()
    const files = readdirSync(join(import.meta.dirname, "../..", folder))
      .filter((file) => file.endsWith(".sql"))
      .sort()
      .map((file) => {
        const match = /^(\d{4})_([a-z0-9_]+)\.sql$/.exec(file)
        if (match === null) throw new Error(`${folder}/${file}: the name must look like 0001_audit.sql`)
        const id = Number(match[1])
        if (seen.has(id)) throw new Error(`${folder}/${file}: the number is taken`)
        seen.add(id)
        const sql = readFileSync(join(import.meta.dirname, "../..", folder, file), "utf8")
        if (sql.includes("\r"))
          throw new Error(`${folder}/${file}: line ends must be LF, or checksums differ by machine`)
        const checksum = createHash("sha256").update(sql).digest("hex")
        return `  {\n    id: ${id},\n    name: ${JSON.stringify(match[2])},\n    checksum: "${checksum}",\n    sql: ${JSON.stringify(sql)}\n  }`
      })
    return [
      `// Made by \`npm run generate\` from ${folder}/*.sql.`,
      'import type { MigrationFile } from "./MigrationSql.ts"',
      "",
      `export const ${name}: ReadonlyArray<MigrationFile> = [\n${files.join(",\n")}\n]`,
      ""
    ].join("\n")
  }
})

export default moduleOf("migrations", "src/layers/postgres/migrations.generated.ts", "migrationFiles")
