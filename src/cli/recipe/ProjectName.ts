/**
 * What a project's directory may be called: letters, digits and `. _ -`, so that the same name is good on every file system, in
 * a shell and in package.json (L-03, L-11). Says what is wrong with any other.
 */
export const nameProblem = (name: string): string | undefined => {
  if (name.length > 100) return "is longer than 100 characters"
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    return "must consist of letters, digits, `.`, `_` and `-`, and begin with a letter or digit"
  }
  if (name.endsWith(".")) return "ends with a dot"
  if (reserved.test(name)) return "is a reserved name"
  return undefined
}

/** The name for package.json. It differs from every package that the project installs, or npm would refuse it. */
export const packageNameOf = (name: string, dependencies: ReadonlyArray<string>): string => {
  const lower = name.toLowerCase()
  return dependencies.includes(lower) ? `${lower}-project` : lower
}

/** Windows gives these to devices, with any ending; npm keeps the last two for itself. */
const reserved = /^(?:(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?|node_modules|favicon\.ico)$/i
