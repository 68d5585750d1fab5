import { Schema } from "effect"

/** An option, an environment variable or a file says something that cannot be used; nothing was started (ENT-04, ERR-14). */
export class ConfigurationError extends Schema.TaggedError<ConfigurationError>()("ConfigurationError", {
  /** The option or variable, never its value. */
  setting: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.setting}: ${this.problem}`
  }
  get recoveryHint() {
    return `Correct ${this.setting} and start again; \`governance doctor\` checks the configuration.`
  }
}
