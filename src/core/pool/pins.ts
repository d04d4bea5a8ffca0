/** What ties a session to its server connection. Bits, since a session may have several. */
export const PIN = {
  /** Temporary objects. */
  temporary: 1 << 0,
  /** Session-level advisory locks. */
  locks: 1 << 1,
  /** Cursors WITH HOLD. */
  cursors: 1 << 2,
  /** `currval()` or `lastval()`. */
  sequences: 1 << 3,
  /** `setseed()`. */
  seed: 1 << 4,
  /** A library loaded by LOAD. */
  library: 1 << 5,
  /** LISTEN, until the shared listener has taken it over. */
  listening: 1 << 6,
  /** Session state that could not be read. */
  unreadable: 1 << 7,
  /** A setting that the role itself may not make. */
  privileged: 1 << 8,
  /** State of the server process that nobody can read. */
  backend: 1 << 9,
  /** Statements of PREPARE that may name temporary tables which are gone. */
  prepared: 1 << 10,
  /** `set_config()` with a name that is computed. */
  unnamed: 1 << 11,
} as const;

export type PinReason = keyof typeof PIN;

export function pinReasons(pins: number): PinReason[] {
  return (Object.keys(PIN) as PinReason[]).filter((reason) => (pins & PIN[reason]) !== 0);
}
