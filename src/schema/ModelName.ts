/**
 * How a model's id is read. A name of the price book is the id itself and its dated snapshots; `name*` has version suffixes
 * too; a leading `*` allows the routes that a host puts before it. Everything else is a model that nobody has priced:
 * `gpt-4o-evil` is not `gpt-4o`, and neither are `GPT-4o`, `gpt-4o ` and look-alikes from beyond ASCII (DEC-08, U-08).
 */
export interface NameRule {
  readonly stem: string
  readonly versions: boolean
  readonly routes: boolean
}

export const parseName = (name: string): NameRule => ({
  stem: name.replace(/^\*/, "").replace(/\*$/, ""),
  versions: name.endsWith("*"),
  routes: name.startsWith("*")
})

/** Printable ASCII without spaces, at most 256 characters. */
export const isModelId = (id: string): boolean => /^[!-~]{1,256}$/.test(id)

/** Whether `tail`, which follows the stem, only says which snapshot or version of the model is meant. */
export const isVersionOf = (rule: NameRule, tail: string): boolean => {
  if (tail === "") return true
  if (rule.stem.startsWith("ft:")) return fineTune.test(tail)
  if (rule.stem.endsWith(".ft")) return /^-[0-9a-f]{8,64}$/.test(tail)
  if (datedStem.test(rule.stem) && datedTail.test(tail)) return false
  return rule.versions ? versionTail.test(tail) : dateTail.test(tail)
}

/** The places where a stem may end, longest first. */
export function* stemsOf(id: string): Generator<string> {
  yield id
  for (let at = id.length - 1; at > 0; at--) {
    if ("-@:".includes(id.charAt(at))) yield id.slice(0, at)
  }
}

/** What is left of an id without the resource path that Vertex AI, Gemini and Bedrock allow before it. */
export const withoutPath = (id: string): string => id.replace(path, "")

/** An id without the geography and vendor that Bedrock puts before it, one step at a time. */
export const withoutRoutes = (id: string): ReadonlyArray<string> => {
  const local = id.replace(geography, "")
  return [...new Set([id, local, local.replace(/^(?:anthropic|amazon)\./, "")])]
}

const places = "(?:us|us-gov|eu|apac|jp|au|ca|global)\\."
const geography = new RegExp(`^${places}(?!${places})`)
const month = "(?:0[1-9]|1[0-2])"
const day = "(?:0[1-9]|[12]\\d|3[01])"
const date = `(?:[-@]20\\d\\d${month}${day}|-20\\d\\d-${month}-${day})`
const version = [
  date,
  `-${month}-20\\d\\d`,
  `-${month}-${day}`,
  `-${month}${day}`,
  `-2[3-9]${month}`,
  "[-@]\\d{3}",
  "[-@](?:latest|default)",
  "-(?:preview|exp)",
  "-v\\d{1,2}",
  ":\\d{1,2}"
].join("|")

const dateTail = new RegExp(`^${date}$`)
const datedTail = new RegExp(`^${date}`)
const datedStem = new RegExp(`${date}$`)
const versionTail = new RegExp(`^(?:${version}){1,4}$`)
const fineTune = /^(?::[\w-]{0,64}){1,4}$/
const path =
  /^(?:(?:projects\/[\w-]{1,64}\/locations\/[\w-]{1,32}\/)?(?:publishers\/(?:google|anthropic)\/)?models\/|arn:aws[a-z-]{0,8}:bedrock:[a-z0-9-]{0,32}:\d{0,12}:(?:inference-profile|foundation-model)\/)/
