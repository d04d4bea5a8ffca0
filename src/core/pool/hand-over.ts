import { asciiLiteral, quoteIdentifier } from '#sql/quote.ts';
import { type SessionState, sameState } from './session-state.ts';

/** What makes a server connection that another session used ready for the next one. */
export interface HandOver {
  /** One text, all or nothing; empty: the settings are equal. The session must not go on when it fails. */
  readonly settings: string;
  /** It cannot fail, so the session's own messages may follow in the same packet. */
  readonly certain: boolean;
  /** Each on its own; one that fails leaves its statement unknown, as EXECUTE will say. */
  readonly statements: readonly string[];
}

const NOTHING: HandOver = { settings: '', certain: true, statements: [] };

/** Settings that any role may give any value that a server has once accepted, whatever else is set. */
const CERTAIN: ReadonlySet<string> = new Set([
  'application_name',
  'bytea_output',
  'client_encoding',
  'client_min_messages',
  'datestyle',
  'extra_float_digits',
  'idle_in_transaction_session_timeout',
  'intervalstyle',
  'lock_timeout',
  'search_path',
  'standard_conforming_strings',
  'statement_timeout',
  'timezone',
  'work_mem',
]);

/** Who acts is settled before and given up first: setting anything else may take rights that only one of the two has. */
const ACTORS = ['session_authorization', 'role'] as const;

/**
 * From what the connection has to what the session needs.
 * @param strange it may have more than is known: code has set what nobody can name
 */
export function handOver(has: SessionState, needs: SessionState, strange = false): HandOver {
  if (sameState(has, needs) && !strange) return NOTHING;
  const settings = settingsBetween(has.settings, needs.settings, strange);
  return { ...settings, statements: inUtf8(statementsBetween(has.prepared, needs.prepared), needs) };
}

function settingsBetween(
  has: ReadonlyMap<string, string>,
  needs: ReadonlyMap<string, string>,
  strange: boolean,
): Pick<HandOver, 'settings' | 'certain'> {
  const parts: string[] = [];
  let certain = true;
  const actorsDiffer = ACTORS.some((name) => has.get(name) !== needs.get(name));
  if (actorsDiffer) {
    // RESET SESSION AUTHORIZATION gives up the role as well.
    certain = false;
    if (has.has('role')) parts.push('RESET ROLE');
    if (has.has('session_authorization')) parts.push('RESET SESSION AUTHORIZATION');
  }
  const set: string[] = [];
  // It leaves who acts alone, and takes back what nobody could take back by itself.
  if (strange) parts.push('RESET ALL');
  for (const name of has.keys()) {
    if (strange || needs.has(name) || isActor(name)) continue;
    if (!CERTAIN.has(name)) certain = false;
    parts.push(`RESET ${settingName(name)}`);
  }
  for (const [name, value] of needs) {
    if (isActor(name) || (!strange && has.get(name) === value)) continue;
    if (!CERTAIN.has(name)) certain = false;
    set.push(setConfig(name, value));
  }
  if (actorsDiffer) {
    for (const name of ACTORS) {
      const value = needs.get(name);
      if (value !== undefined) set.push(setConfig(name, value));
    }
  }
  if (set.length > 0) parts.push(`SELECT ${set.join(', ')}`);
  return { settings: parts.join('; '), certain };
}

function isActor(name: string): boolean {
  return (ACTORS as readonly string[]).includes(name);
}

function settingName(name: string): string {
  return name.split('.').map(quoteIdentifier).join('.');
}

/** Evaluated in the order of the list. */
function setConfig(name: string, value: string): string {
  return `pg_catalog.set_config(${asciiLiteral(name)}, ${asciiLiteral(value)}, false)`;
}

function statementsBetween(has: ReadonlyMap<string, string>, needs: ReadonlyMap<string, string>): string[] {
  const texts: string[] = [];
  for (const [name, text] of has) if (needs.get(name) !== text) texts.push(`DEALLOCATE ${quoteIdentifier(name)}`);
  for (const [name, text] of needs) if (has.get(name) !== text) texts.push(text);
  return texts;
}

/** The text of a PREPARE cannot be disguised: where one is not ASCII, the session's encoding waits until they are made. */
function inUtf8(texts: readonly string[], { settings }: SessionState): readonly string[] {
  if (texts.every((text) => Buffer.byteLength(text) === text.length)) return texts;
  const encoding = settings.get('client_encoding');
  const back = encoding === undefined ? 'RESET client_encoding' : `SELECT ${setConfig('client_encoding', encoding)}`;
  return [`SELECT ${setConfig('client_encoding', 'UTF8')}`, ...texts, back];
}
