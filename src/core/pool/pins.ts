/** What ties a session to its server connection. Bits, since a session may have several. */
export const PIN = {
  temporary: 1 << 0,
  locks: 1 << 1,
  cursors: 1 << 2,
  sequences: 1 << 3,
  seed: 1 << 4,
  library: 1 << 5,
  listening: 1 << 6,
  unreadable: 1 << 7,
  privileged: 1 << 8,
  backend: 1 << 9,
  prepared: 1 << 10,
  unnamed: 1 << 11,
} as const;

export type PinReason = keyof typeof PIN;

/** For people, in the console, the metrics and the logs. */
export const PIN_REASONS: Readonly<Record<PinReason, string>> = {
  temporary: 'temporary objects',
  locks: 'session-level advisory locks',
  cursors: 'cursors WITH HOLD',
  sequences: 'currval() or lastval()',
  seed: 'setseed()',
  library: 'a library loaded by LOAD',
  listening: 'LISTEN, until the shared listener has taken it over',
  unreadable: 'session state that could not be read',
  backend: 'state of the server process that nobody can read',
  prepared: 'statements of PREPARE that may name temporary tables which are gone',
  privileged: 'a setting that the role itself may not make',
  unnamed: 'set_config() with a name that is computed',
};

export function pinReasons(pins: number): PinReason[] {
  return (Object.keys(PIN) as PinReason[]).filter((reason) => (pins & PIN[reason]) !== 0);
}
