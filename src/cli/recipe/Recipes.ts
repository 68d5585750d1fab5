/** A starter project that `governance recipe` writes: a directory of that name in `recipes/`, and this entry (RCP-06). */
export interface Recipe {
  readonly name: string
  readonly summary: string
}

/** Every recipe. A new one is a directory and a line here. */
export const recipes: ReadonlyArray<Recipe> = [
  {
    name: "agt",
    summary: "The starter for users of Microsoft Agent Framework, which has no JavaScript SDK: on @openai/agents"
  }
]

/** What a project consists of, no more and no less (RCP-01, RCP-07). */
export const recipeFiles = ["agent.ts", "package.json", "tsconfig.json", ".env.example", "README.md"] as const

/** The recipe of that name. */
export const recipeOf = (name: string): Recipe | undefined => recipes.find((recipe) => recipe.name === name)
