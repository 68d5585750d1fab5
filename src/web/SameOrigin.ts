import { Result } from "effect"

/**
 * Whether a request that changes something may come from where it says: our own pages, or a program that is no browser (ATH-08).
 * Browsers send `Origin` with everything that is no GET, and cannot be made to leave it out by a page.
 */
export const isSameOrigin = (headers: Readonly<Record<string, string | undefined>>, publicUrl: string): boolean => {
  const site = headers["sec-fetch-site"]
  if (site !== undefined && site !== "same-origin" && site !== "none") return false
  const { origin } = headers
  return origin === undefined || origin === originOf(publicUrl)
}

const originOf = (url: string) =>
  Result.getOrElse(
    Result.map(
      Result.try(() => new URL(url)),
      (parsed) => parsed.origin
    ),
    () => ""
  )
