import { type DateTime, Option, Result, Schema } from "effect"
import { canonicalize } from "./CanonicalJson.ts"
import { escape, unescape } from "./Escape.ts"
import { Identifier } from "./Identifier.ts"
import type { OperatorId } from "./Ids.ts"
import { domainLabels } from "./Subkeys.ts"

/** What a prompt template is called, by whoever wrote it; case-sensitive, 1 to 256 characters after normalisation. */
export const PromptName = Identifier(256).pipe(Schema.brand("PromptName"))
export type PromptName = typeof PromptName.Type

/** The SHA-256 of a template's content, in hex: the same text is the same version, under every name (PRM-01, V8-10). */
export const PromptVersion = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)).pipe(Schema.brand("PromptVersion"))
export type PromptVersion = typeof PromptVersion.Type

/** Which version of which prompt a call was made with: it stands in the audit row of the attempt. */
export interface PromptUse {
  readonly name: PromptName
  readonly version: PromptVersion
}

/** A template as a program uses it: plain text, nothing is filled in. */
export interface Prompt extends PromptUse {
  readonly text: string
}

export interface PromptSummary {
  readonly name: PromptName
  readonly versions: number
  /** Null until a version is activated. */
  readonly active: PromptVersion | null
}

export interface RegisteredPrompt extends PromptUse {
  readonly by: OperatorId
  readonly at: DateTime.Utc
}

/** A version became the active one, by `activate` or by `rollback`. `seq` counts them from 1 for each prompt. */
export interface PromptActivation extends PromptUse {
  readonly seq: number
  readonly by: OperatorId
  readonly at: DateTime.Utc
}

export interface RegisteredNow extends PromptUse {
  /** False when this text was a version of the prompt already. */
  readonly created: boolean
}

export interface ActivatedNow extends PromptUse {
  /** False when it was the active version already. */
  readonly changed: boolean
  readonly previous: PromptVersion | null
}

/** Every version in the order of registration, and every activation: nothing of either is ever changed or removed. */
export interface PromptHistory {
  readonly versions: ReadonlyArray<RegisteredPrompt>
  readonly activations: ReadonlyArray<PromptActivation>
}

/** A stretch of lines that both texts have, or only one of them. */
export interface PromptChange {
  readonly change: "same" | "removed" | "added"
  readonly text: string
}

/** UTF-8 bytes of one template. */
export const maxPromptBytes = 262_144

/** What is hashed and stored of a text: canonical JSON, with what Postgres refuses in its reversible escape (DEC-17). */
export const promptContent = (text: string): string => canonicalize(escape(text))

export const promptVersion = (content: string, hashHex: (text: string) => string): PromptVersion =>
  PromptVersion.make(hashHex(domainLabels.prompt + content))

/** The text of a stored content, or none where it is not what `promptContent` writes. */
export const promptText = (content: string): Option.Option<string> =>
  Option.filter(
    Option.map(Option.flatMap(Result.getSuccess(Result.try((): unknown => JSON.parse(content))), decodeJson), unescape),
    (text) => typeof text === "string"
  )

const decodeJson = Schema.decodeUnknownOption(Schema.Json)

/** There is no such prompt, version or activation. */
export class PromptNotFound extends Schema.TaggedError<PromptNotFound>()(
  "PromptNotFound",
  {
    prompt: PromptName,
    version: Schema.NullOr(PromptVersion),
    problem: Schema.Literals(["unknown", "not_active", "nothing_earlier"])
  },
  { httpApiStatus: 404 }
) {
  override get message() {
    switch (this.problem) {
      case "not_active":
        return `No version of prompt ${this.prompt} is active`
      case "nothing_earlier":
        return `No version of prompt ${this.prompt} was active before this one`
      case "unknown":
        return this.version === null
          ? `There is no prompt ${this.prompt}`
          : `Prompt ${this.prompt} has no version ${this.version}`
    }
  }
  get recoveryHint() {
    return this.problem === "unknown"
      ? "Register the text first; `governance prompts` lists what is there."
      : "Activate one of its versions; `governance prompts show` lists them."
  }
}
