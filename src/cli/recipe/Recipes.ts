/** A starter project that `governance recipe` writes: a directory of that name in `recipes/`, and this entry (RCP-06). */
export interface Recipe {
  readonly name: string
  readonly summary: string
}

/** Every recipe. A new one is a directory and a line here. */
export const recipes: ReadonlyArray<Recipe> = [
  {
    name: "agt",
    summary: "For users of Microsoft Agent Framework, which has no JavaScript SDK: the same sandwich on @openai/agents"
  },
  {
    name: "agt-mcp",
    summary: "The refund tool as an MCP server, for agents of Microsoft Agent Framework and any other"
  },
  { name: "openai-agents", summary: "On the OpenAI Agents SDK" },
  { name: "ai-sdk", summary: "On Vercel's AI SDK" },
  { name: "langgraph", summary: "On LangGraph.js" },
  { name: "effect-ai", summary: "On effect/ai" }
]

/** What a project consists of, no more and no less (RCP-01, RCP-07). */
export const recipeFiles = ["agent.ts", "package.json", "tsconfig.json", ".env.example", "README.md"] as const

/** The recipe of that name. */
export const recipeOf = (name: string): Recipe | undefined => recipes.find((recipe) => recipe.name === name)
