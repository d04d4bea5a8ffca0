import { EFFECT } from '#sql/effects.ts';
import { asciiLiteral } from '#sql/quote.ts';
import { PIN } from './pins.ts';
import { restoreName } from './restore-name.ts';
import type { SessionState, SessionStates } from './session-state.ts';

/** What a transaction may have done to its session, gathered from its texts. */
export interface Traces {
  /** Bits of EFFECT. */
  readonly effects: number;
  /** Settings that were named. */
  readonly settings: ReadonlySet<string>;
  /** Settings may have changed that were not named. */
  readonly allSettings: boolean;
  /** What was named may not have been set: something failed, was rolled back or reset. */
  readonly unsure: boolean;
}

/** Behind transactions with one of these, the connection is asked what became of the session before anybody else gets it. */
export const PROBED =
  EFFECT.settings |
  EFFECT.prepared |
  EFFECT.temporary |
  EFFECT.locks |
  EFFECT.cursors |
  EFFECT.listen |
  EFFECT.library |
  EFFECT.seed |
  EFFECT.code |
  EFFECT.discard;

/** Those that can end a pin, besides the ones above. */
export const UNPINNING = EFFECT.catalog | EFFECT.unlisten;

/** `SET` outside pg_settings, and settings that are states of a transaction. */
const ACTORS = ['role', 'session_authorization'];
const NOT_OF_SESSIONS: ReadonlySet<string> = new Set([
  'transaction_isolation',
  'transaction_read_only',
  'transaction_deferrable',
  'seed',
]);

export interface Probe {
  /** One text; the last row of its answer is the one to read. */
  readonly sql: string;
  /** What the row says, given what pinned the session before. Undefined: not the row that was asked for. */
  read(row: readonly (string | null)[], pins: number, states: SessionStates): Found | undefined;
}

export interface Found {
  readonly state: SessionState;
  readonly pins: number;
  /** What the session listens to on this connection. */
  readonly channels: readonly string[] | null;
  /** How many statements the protocol has prepared are there; null: it was not asked. */
  readonly ofProtocol: number | null;
}

const CODE = EFFECT.code | EFFECT.discard;

/**
 * @param before what was known of the session before the transaction
 * @param login the role that the connection was opened as
 * @param custom settings of extensions and applications that are known by name: the views of PostgreSQL ≤ 15 do not list them
 * @param name the application_name of the session's startup: where it was taken away it is set again before anything is read
 */
export function probeFor(
  traces: Traces,
  before: SessionState,
  pins: number,
  login: string,
  custom: readonly string[],
  name?: string,
): Probe {
  const { effects } = traces;
  const actsOrActed = ACTORS.some((name) => before.settings.has(name) || traces.settings.has(name));
  const all = traces.allSettings || (effects & CODE) !== 0 || (pins & PIN.privileged) !== 0;
  const named = [...traces.settings].filter((name) => !NOT_OF_SESSIONS.has(name));
  // The view says whether a value is the session's own, and costs half a millisecond.
  const plain = named.filter((name) => !isActor(name) && !name.includes('.'));
  const listed = all ? [] : traces.unsure || actsOrActed ? plain : plain.filter((name) => name === 'application_name');
  const view = all || (actsOrActed && (effects & EFFECT.settings) !== 0) || listed.length > 0;
  const placeholders = all ? [...new Set([...custom, ...named.filter((name) => name.includes('.'))])] : [];
  const names = all ? ACTORS : named.filter((name) => !listed.includes(name));
  const asks = (bits: number, pin = 0) => (effects & (bits | CODE)) !== 0 || (pins & pin) !== 0;
  const columns = [
    names.length > 0
      ? inUtf8(
          `pg_catalog.json_build_object(${names.map((name) => `${asciiLiteral(name)}, ${currentSetting(name)}`).join(', ')})`,
        )
      : 'NULL',
    view
      ? inUtf8(
          `(SELECT pg_catalog.json_object_agg(l.n, pg_catalog.current_setting(l.n)) FROM (${list(placeholders, listed, all)}) l (n))`,
        )
      : 'NULL',
    asks(EFFECT.prepared)
      ? inUtf8(
          `(SELECT pg_catalog.json_object_agg(p.name, p.statement) FROM pg_catalog.pg_prepared_statements p WHERE p.from_sql)`,
        )
      : 'NULL',
    asks(EFFECT.temporary, PIN.temporary) ? TEMPORARY : 'NULL',
    asks(EFFECT.locks, PIN.locks)
      ? "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.pid = pg_catalog.pg_backend_pid())"
      : 'NULL',
    asks(EFFECT.cursors, PIN.cursors) ? '(SELECT pg_catalog.count(*) FROM pg_catalog.pg_cursors c WHERE c.is_holdable)' : 'NULL',
    asks(EFFECT.listen | EFFECT.unlisten, PIN.listening)
      ? inUtf8("(SELECT coalesce(pg_catalog.json_agg(c), '[]') FROM pg_catalog.pg_listening_channels() c)")
      : 'NULL',
    view ? privileged(login) : 'NULL',
    asks(EFFECT.prepared) ? '(SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements p WHERE NOT p.from_sql)' : 'NULL',
  ];
  const isNameRead = all || listed.includes('application_name');
  const restored = name === undefined || !isNameRead ? '' : `${restoreName(name)}; `;
  return {
    sql: `${restored}SELECT ${columns.join(', ')}`,
    read: (row, pinned, states) => read({ row, before, pinned, states, effects, all, listed: view ? listed : [], login }),
  };
}

/** The client's encoding is none of the proxy's business: what is not ASCII goes both ways in disguise. */
function inUtf8(json: string): string {
  return `pg_catalog.encode(pg_catalog.convert_to(${json}::pg_catalog.text, 'UTF8'), 'base64')`;
}

/** Settings that the session's login could neither make nor take back on another connection: made under another role. */
function privileged(login: string): string {
  return `(SELECT pg_catalog.count(*) FROM pg_catalog.pg_settings s WHERE s.source = 'session' AND s.context = 'superuser'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = ${asciiLiteral(login)} AND r.rolsuper))`;
}

/** What the view knows to be set by the session, and what it does not know at all: placeholders, of which an empty one is none. */
function list(placeholders: readonly string[], listed: readonly string[], all: boolean): string {
  const values = (names: readonly string[]) => names.map((name) => `(${asciiLiteral(name)})`).join(', ');
  const only = all
    ? ''
    : ` AND pg_catalog.lower(s.name) IN (${listed.length === 0 ? 'NULL' : listed.map(asciiLiteral).join(', ')})`;
  const view = `SELECT pg_catalog.lower(s.name) FROM pg_catalog.pg_settings s WHERE s.source = 'session' AND s.context <> 'internal'
    AND s.name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')${only}`;
  if (placeholders.length === 0) return view;
  return `${view} UNION SELECT p.n FROM (VALUES ${values(placeholders)}) p (n)
    WHERE pg_catalog.current_setting(p.n, true) <> '' AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name = p.n)`;
}

function isActor(name: string): boolean {
  return ACTORS.includes(name);
}

const TEMPORARY = `(SELECT pg_catalog.sum(n) FROM (
  SELECT pg_catalog.count(*) AS n FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema()
  UNION ALL SELECT pg_catalog.count(*) FROM pg_catalog.pg_type WHERE typnamespace = pg_catalog.pg_my_temp_schema()
  UNION ALL SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.pg_my_temp_schema()
  UNION ALL SELECT pg_catalog.count(*) FROM pg_catalog.pg_operator WHERE oprnamespace = pg_catalog.pg_my_temp_schema()) t)`;

function currentSetting(name: string): string {
  return `pg_catalog.current_setting(${asciiLiteral(name)}, true)`;
}

/** What the settings that say who acts hold while nobody else does. */
const NOBODY_ELSE: Readonly<Record<string, string>> = { role: 'none' };

interface Reading {
  readonly row: readonly (string | null)[];
  readonly before: SessionState;
  readonly pinned: number;
  readonly states: SessionStates;
  readonly effects: number;
  readonly all: boolean;
  /** Named ones that the view was asked for. */
  readonly listed: readonly string[];
  readonly login: string;
}

function read({ row, before, pinned, states, effects, all, listed, login }: Reading): Found | undefined {
  const [named, own, prepared, temporary, locks, cursors, channels, privileges, ofProtocol] = row;
  if (row.length !== 9) return undefined;
  const settings = new Map(all ? [] : before.settings);
  for (const name of listed) settings.delete(name);
  for (const [name, value] of objectOf(own)) settings.set(name, value);
  for (const [name, value] of objectOf(named)) {
    if (value === null || value === NOBODY_ELSE[name] || (name === 'session_authorization' && value === login))
      settings.delete(name);
    else settings.set(name, value);
  }
  const asked = (bit: number) => (effects & (bit | CODE)) !== 0;
  const statements = asked(EFFECT.prepared) ? new Map(objectOf(prepared)) : before.prepared;
  let pins = pinned;
  const pin = (bit: number, count: string | null | undefined) => {
    if (typeof count === 'string') pins = count === '0' ? pins & ~bit : pins | bit;
  };
  pin(PIN.temporary, temporary);
  pin(PIN.locks, locks);
  pin(PIN.cursors, cursors);
  pin(PIN.privileged, privileges);
  if ((effects & EFFECT.unnamed) !== 0) pins |= PIN.unnamed;
  if ((effects & EFFECT.library) !== 0) pins |= PIN.library;
  if ((effects & EFFECT.discard) !== 0) pins &= ~PIN.seed;
  else if ((effects & EFFECT.seed) !== 0) pins |= PIN.seed;
  return {
    state: states.intern(settings, statements),
    pins,
    // Not asked is not the same as none.
    channels: typeof channels === 'string' ? listOf(channels) : null,
    ofProtocol: typeof ofProtocol === 'string' ? Number(ofProtocol) : null,
  };
}

function objectOf(json: string | null | undefined): [string, string][] {
  return typeof json === 'string' ? Object.entries(parse(json) as Record<string, string>) : [];
}

function listOf(json: string | null | undefined): string[] {
  return typeof json === 'string' ? (parse(json) as string[]) : [];
}

function parse(base64: string): unknown {
  return JSON.parse(Buffer.from(base64, 'base64').toString());
}
