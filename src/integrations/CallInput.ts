import { createHash } from "node:crypto"

/**
 * What the log, loop detection and a reviewer get to see of a request to a model. A prompt with pictures can be longer than an
 * audit row may hash: then its digest stands for it, so that an approval is still one for exactly this request.
 */
export const callInput = <Input>(input: Input, text: string, tools: ReadonlyArray<string>) =>
  text.length <= longest
    ? input
    : { sha256: createHash("sha256").update(text).digest("hex"), bytes: Buffer.byteLength(text), tools }

const longest = 100_000
