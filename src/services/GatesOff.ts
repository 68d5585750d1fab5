import { Effect, Layer } from "effect"
import { ModuleDisabledError } from "../schema/ModuleDisabled.ts"
import { Gates } from "./Gates.ts"

/** Nobody can approve anything in this process; what needs approval does not run (ENT-05). Warned once; calls fail loudly. */
export const layer = Layer.effect(
  Gates,
  Effect.as(
    Effect.logWarning("gates.disabled", { effect: "tools that need approval are refused in this process" }),
    Gates.of({
      request: () => disabled,
      waitFor: () => disabled,
      grant: () => disabled,
      deny: () => disabled,
      list: () => disabled,
      claim: () => disabled,
      hasGrantedApproval: () => disabled,
      approvedFor: () => disabled,
      standing: () => disabled,
      editedArguments: () => disabled,
      cleanupResolved: () => disabled
    })
  )
)

const disabled = Effect.fail(new ModuleDisabledError({ module: "gates" }))
