/**
 * The text with look-alikes of ASCII letters replaced by the letters, one unit for one unit, so that what is found in it stands
 * at the same place in the original (C-17). For looking only: never shown and never stored.
 */
export const foldText = (text: string): string => (ascii.test(text) ? text : text.replace(foldable, foldUnit))

// biome-ignore lint/suspicious/noControlCharactersInRegex: what is ASCII has nothing to fold
const ascii = /^[\u0000-\u007f]*$/
const foldable = /[\u00a0\u0370-\u03ff\u0400-\u052f\u2000-\u200a\u2010-\u2015\u2212\uff01-\uff5e]/g

const foldUnit = (unit: string): string => {
  const code = unit.charCodeAt(0)
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCharCode(code - 0xfee0)
  if (code === 0xa0 || (code >= 0x2000 && code <= 0x200a)) return " "
  if ((code >= 0x2010 && code <= 0x2015) || code === 0x2212) return "-"
  return lookAlikes.get(unit) ?? unit
}

// Cyrillic and Greek that a reader takes for Latin; the confusables of UTS #39 that occur in words such as "password".
const pairs =
  "аa вb сc ԁd еe һh іi јj кk ӏl мm нh оo рp ԛq гr ѕs тt υu ѵv ԝw хx уy АA ВB СC ЕE НH ІI ЈJ КK МM ОO РP ЅS ТT ХX УY " +
  "αa εe ιi κk νv οo ρp τt χx ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX"
const lookAlikes: ReadonlyMap<string, string> = new Map(
  pairs.split(" ").map((pair): [string, string] => [pair.charAt(0), pair.charAt(1)])
)
