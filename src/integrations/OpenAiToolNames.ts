import type { Body } from "./Provider.ts"
import { items, record } from "./Reading.ts"

type IsVisible = (tool: string) => boolean

/** Every name by which a policy may hide a tool: more than one where somebody has written more than one into it. */
export const namesOf = (tool: Body): ReadonlyArray<string> => {
  const { name, server_label, type } = tool
  const own = [record(tool.function).name, record(tool.custom).name, name, server_label]
  // A tool of the provider's own has no name but its type, such as `web_search`.
  return [...own, plain.has(type) ? undefined : type].filter((one) => typeof one === "string")
}

/** The same with the names of what a namespace brings. */
export const allNamesOf = (tool: Body): ReadonlyArray<string> => [
  ...namesOf(tool),
  ...items(tool.tools).flatMap(namesOf)
]

/** Without the hidden ones, in namespaces too; the very list where nothing is hidden (SCP-06). */
export const visibleTools = (tools: ReadonlyArray<Body>, isVisible: IsVisible): ReadonlyArray<Body> => {
  const visible = tools.flatMap((tool) => {
    if (!namesOf(tool).every(isVisible)) return []
    const inner = items(tool.tools)
    const left = inner.filter((one) => namesOf(one).every(isVisible))
    if (left.length === inner.length) return [tool]
    return left.length === 0 ? [] : [{ ...tool, tools: left }]
  })
  return visible.length === tools.length && visible.every((tool, at) => tool === tools[at]) ? tools : visible
}

/** Undefined where it names a hidden tool, which the provider would refuse; a list of allowed tools loses the hidden ones. */
export const visibleChoice = (choice: unknown, isVisible: IsVisible): unknown => {
  const { allowed_tools, tools } = record(choice)
  if (tools !== undefined) {
    const left = items(tools).filter((tool) => namesOf(tool).every(isVisible))
    return left.length === 0 ? undefined : { ...record(choice), tools: left }
  }
  if (allowed_tools !== undefined) {
    const left = visibleChoice(allowed_tools, isVisible)
    return left === undefined ? undefined : { ...record(choice), allowed_tools: left }
  }
  return namesOf(record(choice)).every(isVisible) ? choice : undefined
}

const plain: ReadonlySet<unknown> = new Set(["function", "custom", "namespace", "mcp", "allowed_tools"])
