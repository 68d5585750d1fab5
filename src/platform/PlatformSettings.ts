import { Context } from "effect"

/** What a platform is told when it starts. */
export interface PlatformConfig {
  /** The origin that people and bridges reach it by, without a slash at the end. */
  readonly publicUrl: string
  /** Where a 402 sends people; null where nothing is sold. */
  readonly upgradeUrl: string | null
  /** Whether `X-Forwarded-For` is believed: only behind a proxy that sets it. */
  readonly trustProxy: boolean
  /** Where the data lie, in the words of whoever hosts it (PLT-09). */
  readonly region: string
  /** Who answers questions about the data. */
  readonly contact: string | null
}

export const platformDefaults: PlatformConfig = {
  publicUrl: "http://127.0.0.1:4640",
  upgradeUrl: null,
  trustProxy: false,
  region: "on the machine of whoever hosts this platform",
  contact: null
}

export class PlatformSettings extends Context.Service<PlatformSettings, PlatformConfig>()(
  "effect-governance/platform/PlatformSettings"
) {}
