import { Schema } from "effect"

/** One thing that `governance doctor` looked at. */
export const Finding = Schema.Struct({
  /** A short fixed name, such as `append-only triggers`. */
  check: Schema.String,
  status: Schema.Literals(["ok", "warn", "fail"]),
  message: Schema.String,
  /** What to do; empty when there is nothing to do. */
  hint: Schema.String
})
export type Finding = typeof Finding.Type

export const ok = (check: string, message: string): Finding => ({ check, status: "ok", message, hint: "" })
export const warn = (check: string, message: string, hint: string): Finding => ({
  check,
  status: "warn",
  message,
  hint
})
export const fail = (check: string, message: string, hint: string): Finding => ({
  check,
  status: "fail",
  message,
  hint
})
