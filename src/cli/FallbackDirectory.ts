// Where temporary files of this user belong only the operating system can say.
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"

/** Where programs keep events while their database does not answer, unless they chose another place. MUST be the default of `JsonlFallback`. */
export const fallbackDirectory = () => join(tmpdir(), `effect-governance-${userInfo().username}`)
