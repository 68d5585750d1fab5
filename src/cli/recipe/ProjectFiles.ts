import { Effect, Schema } from "effect"
import { packageNameOf } from "./ProjectName.ts"
import { recipeFiles } from "./Recipes.ts"

/** One file of a project that is to be written. */
export interface ProjectFile {
  readonly name: (typeof recipeFiles)[number]
  readonly text: string
}

/**
 * The files of a project. Only package.json differs from its template, and there by grammar: it is parsed, gets the project's
 * name and the version of this package, and is written again, so no name can become anything but a name (L-11).
 */
export const projectFiles = Effect.fnUntraced(function* <E, R>(
  name: string,
  version: string,
  template: (file: ProjectFile["name"]) => Effect.Effect<string, E, R>
) {
  return yield* Effect.forEach(recipeFiles, (file) =>
    Effect.map(
      template(file),
      (text): ProjectFile => ({
        name: file,
        text: file === "package.json" ? packageJson(text, name, version) : text
      })
    )
  )
})

const packageJson = (text: string, name: string, version: string): string => {
  const manifest = decode(text)
  const dependencies = { ...manifest.dependencies, "effect-governance": version }
  const installed = [...Object.keys(dependencies), ...Object.keys(manifest.devDependencies)]
  return `${JSON.stringify({ ...manifest, name: packageNameOf(name, installed), dependencies }, null, 2)}\n`
}

const Packages = Schema.Record(Schema.String, Schema.String)

const decode = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.StructWithRest(Schema.Struct({ dependencies: Packages, devDependencies: Packages }), [
      Schema.Record(Schema.String, Schema.Json)
    ])
  )
)
