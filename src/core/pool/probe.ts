import { EFFECT } from '#sql/effects.ts';
import { quoteLiteral } from '#sql/quote.ts';
import { PIN } from './pins.ts';
import type { SessionState, SessionStates } from './session-state.ts';

/** What a transaction may have done to its session, gathered from its texts. */
export interface Traces {
  /** Bits of EFFECT. */
  readonly effects: number;
  /** Settings that were named. */
  readonly settings: ReadonlySet<string>;
  /** Settings may have changed that were not named. */
  readonly allSettings: boolean;
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
export const UNPINNING = EFFECT.catalog;

/** `SET` outside pg_settings, and settings that are states of a transaction. */
const ACTORS = ['role', 'session_authorization'];
const NOT_OF_SESSIONS: ReadonlySet<string> = new Set([
  'transaction_isolation',
  'transaction_read_only',
  'transaction_deferrable',
  'seed',
]);

export interface Probe {
  /** One text with one row as its answer. */
  readonly sql: string;
  /** What the row says, given what was known before. Undefined: not the row that was asked for. */
  read(row: readonly (string | null)[], before: SessionState, pins: number, states: SessionStates): Found | undefined;
}

export interface Found {
  readonly state: SessionState;
  readonly pins: number;
  /** What the session listens to on this connection. */
  readonly channels: readonly string[];
}

const CODE = EFFECT.code | EFFECT.discard;

/**
 * @param login the role that the connection was opened as
 * @param custom settings of extensions and applications that are known by name: the views of PostgreSQL ≤ 15 do not list them
 */
export function probeFor(traces: Traces, pins: number, login: string, custom: readonly string[]): Probe {
  const { effects } = traces;
  const all = traces.allSettings || (effects & CODE) !== 0;
  const named = [...traces.settings].filter((name) => !NOT_OF_SESSIONS.has(name));
  const placeholders = all ? [...new Set([...custom, ...named.filter((name) => name.includes('.'))])] : [];
  const names = all ? ACTORS : named;
  const asks = (bits: number, pin = 0) => (effects & (bits | CODE)) !== 0 || (pins & pin) !== 0;
  const columns = [
    names.length > 0
      ? `pg_catalog.json_build_object(${names.map((name) => `${quoteLiteral(name)}, ${currentSetting(name)}`).join(', ')})`
      : 'NULL',
    all ? `(SELECT pg_catalog.json_object_agg(n, pg_catalog.current_setting(n)) FROM (${listed(placeholders)}) l (n))` : 'NULL',
    asks(EFFECT.prepared)
      ? `(SELECT pg_catalog.json_object_agg(p.name, p.statement) FROM pg_catalog.pg_prepared_statements p WHERE p.from_sql)`
      : 'NULL',
    asks(EFFECT.temporary, PIN.temporary) ? TEMPORARY : 'NULL',
    asks(EFFECT.locks, PIN.locks)
      ? "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.pid = pg_catalog.pg_backend_pid())"
      : 'NULL',
    asks(EFFECT.cursors, PIN.cursors) ? '(SELECT pg_catalog.count(*) FROM pg_catalog.pg_cursors c WHERE c.is_holdable)' : 'NULL',
    asks(EFFECT.listen | EFFECT.unlisten) ? '(SELECT pg_catalog.json_agg(c) FROM pg_catalog.pg_listening_channels() c)' : 'NULL',
  ];
  return {
    sql: `SELECT ${columns.join(', ')}`,
    read: (row, before, pinned, states) => read({ row, before, pinned, states, effects, all, login }),
  };
}

/** What the view knows to be set by the session, and what it does not know at all: placeholders, of which an empty one is none. */
function listed(placeholders: readonly string[]): string {
  const view = `SELECT s.name FROM pg_catalog.pg_settings s
    WHERE s.source = 'session' AND s.context <> 'internal' AND s.name NOT LIKE 'transaction%'`;
  if (placeholders.length === 0) return view;
  const values = placeholders.map((name) => `(${quoteLiteral(name)})`).join(', ');
  return `${view} UNION SELECT p.n FROM (VALUES ${values}) p (n)
    WHERE pg_catalog.current_setting(p.n, true) <> '' AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name = p.n)`;
}

const TEMPORARY = `(SELECT pg_catalog.sum(n) FROM (
  SELECT pg_catalog.count(*) AS n FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema()
  UNION ALL SELECT pg_catalog.count(*) FROM pg_catalog.pg_type WHERE typnamespace = pg_catalog.pg_my_temp_schema()
  UNION ALL SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.pg_my_temp_schema()
  UNION ALL SELECT pg_catalog.count(*) FROM pg_catalog.pg_operator WHERE oprnamespace = pg_catalog.pg_my_temp_schema()) t)`;

function currentSetting(name: string): string {
  return `pg_catalog.current_setting(${quoteLiteral(name)}, true)`;
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
  readonly login: string;
}

function read({ row, before, pinned, states, effects, all, login }: Reading): Found | undefined {
  const [named, listed, prepared, temporary, locks, cursors, channels] = row;
  if (row.length !== 7) return undefined;
  const settings = new Map(all ? objectOf(listed) : before.settings);
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
  if ((effects & EFFECT.library) !== 0) pins |= PIN.library;
  if ((effects & EFFECT.seed) !== 0) pins |= PIN.seed;
  return { state: states.intern(settings, statements), pins, channels: listOf(channels) };
}

function objectOf(json: string | null | undefined): [string, string][] {
  return typeof json === 'string' ? Object.entries(JSON.parse(json) as Record<string, string>) : [];
}

function listOf(json: string | null | undefined): string[] {
  return typeof json === 'string' ? (JSON.parse(json) as string[]) : [];
}
