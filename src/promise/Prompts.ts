/** Versions of prompt templates, named by the hash of their text. */
export interface Prompts {
  /** Keeps a text as a version; the same text is the same version again. Activates nothing. */
  register(name: string, text: string, act: { readonly by: string }): Promise<RegisteredNow>
  activate(name: string, version: string, act: { readonly by: string }): Promise<ActivatedNow>
  /** Back to what was active before. */
  rollback(name: string, act: { readonly by: string }): Promise<PromptActivation>
  list(): Promise<ReadonlyArray<PromptSummary>>
  history(name: string): Promise<PromptHistory>
  /** What changed from one version to another, line by line. */
  diff(name: string, from: string, to: string): Promise<ReadonlyArray<PromptChange>>
  get(name: string, version: string): Promise<Prompt>
  /** The active version: pass it to `governed` as `prompt`. */
  use(name: string): Promise<Prompt>
}

export interface PromptUse {
  readonly name: string
  /** SHA-256 of the text, in hex. */
  readonly version: string
}

export interface Prompt extends PromptUse {
  readonly text: string
}

export interface RegisteredNow extends PromptUse {
  /** False when this text was a version already. */
  readonly created: boolean
}

export interface ActivatedNow extends PromptUse {
  readonly changed: boolean
  readonly previous: string | null
}

export interface RegisteredPrompt extends PromptUse {
  readonly by: string
  readonly at: Date
}

export interface PromptActivation extends RegisteredPrompt {
  readonly seq: number
}

export interface PromptSummary {
  readonly name: string
  readonly versions: number
  /** Null until a version is activated. */
  readonly active: string | null
}

export interface PromptHistory {
  readonly versions: ReadonlyArray<RegisteredPrompt>
  readonly activations: ReadonlyArray<PromptActivation>
}

export interface PromptChange {
  readonly change: "same" | "removed" | "added"
  readonly text: string
}
