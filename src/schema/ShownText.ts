import { Hex } from "effect/encoding"
import type { Digest } from "./Chain.ts"
import { terminalText } from "./TerminalText.ts"

/**
 * Text from data as a report shows it (T-13): nothing in it moves a cursor, turns the direction of reading or is invisible,
 * and what is longer than `max` UTF-16 units is clipped, with how much is missing and the SHA-256 of the whole, so that its
 * owner can recognise it.
 */
export const shownText = (text: string, max: number, hash: Digest): string => {
  if (text.length <= max) return terminalText(text, max)
  const end = isHighSurrogate(text.charCodeAt(max - 1)) ? max - 1 : max
  const digest = Hex.encode(hash(text)).slice(0, 16)
  return `${terminalText(text.slice(0, end), max)}… (+${text.length - end} characters, sha256 ${digest})`
}

/** Inside a Markdown table cell, paragraph or list item: no markup, link, image, HTML or mention is made of it. */
export const markdownText = (text: string): string =>
  text
    .replace(/[\\`*_{}[\]#|!~@]|:(?=\/)|(?<=www)\.|^[-+=]|(?<=^\d{1,9})[.)]/gi, (mark) => `\\${mark}`)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replace(/[\r\n]+/g, " ")

/** Inside an HTML element or a quoted attribute. */
export const htmlText = (text: string): string => text.replace(/[&<>"']/g, (mark) => entities[mark] ?? mark)

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" }

const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff
