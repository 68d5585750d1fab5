import { Schema } from "effect"

// Policies lie readable in the database, and whoever may write them chooses the receiver: a row MUST NOT be able to make a
// process use any other secret of its environment, or read a file.
const reference = /^env:\/\/GOVERNANCE_ALERT_[A-Z0-9_]{1,100}$/
const plainUrl = /^https?:\/\/[^\s/?#@\\]+(?:[/?][^\s#\\]*)?$/

/** The secret that alerts are signed with, as `env://GOVERNANCE_ALERT_<NAME>`: the value itself never stands in a policy (WHK-01). */
export const AlertSecret = Schema.String.check(
  Schema.isPattern(reference, {
    message: "must be env://GOVERNANCE_ALERT_<NAME>, the variable that holds the secret; never the secret itself"
  })
)

/** Where alerts go: a URL, or `env://GOVERNANCE_ALERT_<NAME>` where the URL is a secret too. Judged by `Egress` when one is sent. */
export const AlertUrl = Schema.String.check(
  Schema.isMaxLength(2048, { message: "must have at most 2048 characters" }),
  Schema.makeFilter(
    (text) =>
      reference.test(text) ||
      plainUrl.test(text) ||
      "must be a URL without user name and fragment, or env://GOVERNANCE_ALERT_<NAME>"
  )
)

/** The variable that an address names; null when it is the URL itself. */
export const alertVariable = (address: string): string | null =>
  reference.test(address) ? address.slice("env://".length) : null
