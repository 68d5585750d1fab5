// Compiles src to dist and makes the command line executable. Run by `npm run build` and before packing.
import { execFileSync } from "node:child_process"
import { chmodSync, rmSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
rmSync(join(root, "dist"), { recursive: true, force: true })
execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" })
chmodSync(join(root, "dist/cli/main.js"), 0o755)
