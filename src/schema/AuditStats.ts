/** What the log of one process has done since its start. */
export interface AuditStats {
  readonly appended: number
  readonly spooled: number
  readonly replayed: number
  readonly placeholders: number
  readonly refused: number
  readonly waiting: number
  /** Rows that should have been signed and could not be (IDN-04): anything but 0 is worth an alarm (K-09). */
  readonly unsignedLocalFailures: number
}
