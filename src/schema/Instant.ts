/**
 * ISO 8601 in UTC with milliseconds, as `DateTime.formatIso` writes it for years 0 to 9999; beyond them with a sign and six
 * digits. Every row of the log is written and verified with one, so it is plain arithmetic and remembers the last day.
 */
export const isoOf = (ms: number): string => {
  const day = Math.floor(ms / msPerDay)
  if (day !== lastDay) {
    lastDay = day
    lastDate = dateOf(day)
  }
  const rest = ms - day * msPerDay
  const seconds = Math.floor(rest / 1000)
  const minutes = Math.floor(seconds / 60)
  return `${lastDate}T${two[Math.floor(minutes / 60)]}:${two[minutes % 60]}:${two[seconds % 60]}.${`${rest % 1000}`.padStart(3, "0")}Z`
}

const msPerDay = 86_400_000
const two = Array.from({ length: 60 }, (_, n) => `${n}`.padStart(2, "0"))
let lastDay = Number.NaN
let lastDate = ""

/** Days since 1970 to a date of the proleptic Gregorian calendar: eras of 400 years that begin on the first of March. */
const dateOf = (daysSince1970: number): string => {
  const days = daysSince1970 + 719_468
  const era = Math.floor(days / 146_097)
  const dayOfEra = days - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return `${yearText(year)}-${two[month]}-${two[dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1]}`
}

const yearText = (year: number): string =>
  year >= 0 && year <= 9999
    ? `${year}`.padStart(4, "0")
    : `${year < 0 ? "-" : "+"}${`${Math.abs(year)}`.padStart(6, "0")}`
