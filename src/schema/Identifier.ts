import { Schema, SchemaTransformation } from "effect"

// Escape sequences first, whole (OSC and DCS with their text, CSI with its parameters), then every control character left.
// Each alternative is linear: no nested repetition.
const escapes =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
  /(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|\u001b[ -/]*[0-~]?/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
const controls = /[\u0000-\u001f\u007f-\u009f]/g
const plain = /^[\u0020-\u007e]*$/

// Sorting combining marks takes time quadratic in their number (26 s for 200 000 of them), so a run is cut at the 30 that
// UAX #15 calls stream-safe: before NFC for the time, after it because NFC can make two marks of one.
const marks = /(\p{M}{30})\p{M}+/gu

/** NFC in time linear in the text: of a run of combining marks 30 stay. */
export const linearNfc = (text: string): string => text.replace(marks, "$1").normalize("NFC").replace(marks, "$1")

/**
 * NFC, without control characters and terminal escapes; lone surrogates become U+FFFD, and of a run of combining marks 30
 * stay (AUD-07, DEC-17). Linear in its input, and normalising twice changes nothing more.
 */
export const normaliseIdentifier = (text: string): string =>
  plain.test(text) ? text : linearNfc(text.toWellFormed().replace(escapes, "").replace(controls, ""))

/** A short name chosen by a caller: normalised when decoded, then 1 to `max` UTF-16 units long. */
export const Identifier = (max: number) =>
  Schema.String.pipe(
    Schema.decodeTo(
      Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(max)),
      SchemaTransformation.transform({ decode: normaliseIdentifier, encode: (text) => text })
    )
  )
