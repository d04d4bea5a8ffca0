import fc from 'fast-check';
import { expect, test } from 'vitest';
import { handOver } from './hand-over.ts';
import { type SessionState, SessionStates } from './session-state.ts';

const NAMES = ['work_mem', 'log_statement', 'my.setting', 'client_encoding', 'role', 'session_authorization'];
const states = new SessionStates();
const values = fc.string({ unit: fc.constantFrom('a', "'", '\\', 'ü', ';', '"', '$') });
const state: fc.Arbitrary<SessionState> = fc
  .tuple(
    fc.dictionary(fc.constantFrom(...NAMES), values),
    fc.dictionary(fc.constantFrom('p', 'Q "x"'), fc.constantFrom('PREPARE p AS SELECT 1', "PREPARE p AS SELECT 'ü'")),
  )
  .map(([settings, prepared]) => states.intern(new Map(Object.entries(settings)), new Map(Object.entries(prepared))));

/** What a text of the hand-over leaves of `has`. */
function after(has: ReadonlyMap<string, string>, text: string): Map<string, string> {
  const settings = new Map(has);
  // No value has a blank in it.
  for (const part of text.split(/; |, (?=pg_catalog\.set_config)/)) {
    if (part === 'RESET ALL')
      for (const name of [...settings.keys()].filter((one) => !ACTORS.includes(one))) settings.delete(name);
    else if (part === 'RESET SESSION AUTHORIZATION') for (const name of ACTORS) settings.delete(name);
    else if (part.startsWith('RESET')) settings.delete(part.slice(6).replaceAll('"', '').toLowerCase());
    else if (part !== '') {
      const [name, value] = literalsOf(part);
      settings.set(name ?? '', value ?? '');
    }
  }
  return settings;
}

const ACTORS = ['role', 'session_authorization'];

function literalsOf(call: string): string[] {
  const found = call.matchAll(/decode\('([0-9a-f]*)', 'hex'\), 'UTF8'|(E?)'((?:[^'\\]|''|\\.)*)'/g);
  return [...found].map(([, hex, backslashes, text = '']) =>
    hex !== undefined
      ? Buffer.from(hex, 'hex').toString()
      : (backslashes === 'E' ? text.replaceAll('\\\\', '\\') : text).replaceAll("''", "'"),
  );
}

test('it leads from any state to any other, whatever is on the connection besides', () => {
  fc.assert(
    fc.property(state, state, fc.boolean(), (has, needs, strange) => {
      const { settings } = handOver(has, needs, strange);
      const present = new Map(has.settings);
      if (strange) present.set('nobody.knows', 'it');
      expect(new Map([...after(present, settings)].sort())).toEqual(new Map([...needs.settings].sort()));
      // Whatever the encoding of the client is.
      expect(Buffer.byteLength(settings)).toBe(settings.length);
    }),
  );
});

test('nothing is asked between equal states, and only what cannot fail goes ahead unanswered', () => {
  fc.assert(
    fc.property(state, state, (has, needs) => {
      expect(handOver(has, has)).toEqual({ settings: '', certain: true, statements: [] });
      const { certain } = handOver(has, needs);
      const differ = (name: string) => has.settings.get(name) !== needs.settings.get(name);
      if ([...ACTORS, 'log_statement', 'my.setting'].some(differ)) expect(certain).toBe(false);
    }),
  );
});

test('who acts is given up first and taken on last', () => {
  fc.assert(
    fc.property(state, state, (has, needs) => {
      const { settings } = handOver(has, needs);
      if (!ACTORS.some((name) => has.settings.get(name) !== needs.settings.get(name))) return;
      const parts = settings
        .split(/; |, (?=pg_catalog\.set_config)/)
        .map((part) => /role|ROLE|AUTHORIZATION|session_auth/.test(part));
      const others = parts.flatMap((acts, index) => (acts ? [] : [index]));
      const resets = settings.split('; ').filter((part) => /^RESET (ROLE|SESSION)/.test(part)).length;
      if (others.length > 0) expect(others[0]).toBe(resets);
    }),
  );
});

test('statements are deallocated before others of their name are made, and read in UTF-8', () => {
  const has = states.intern(new Map(), new Map([['p', 'PREPARE p AS SELECT 1']]));
  const needs = states.intern(new Map([['client_encoding', 'LATIN1']]), new Map([['p', "PREPARE p AS SELECT 'ü'"]]));
  expect(handOver(has, needs).statements).toEqual([
    "SELECT pg_catalog.set_config('client_encoding', 'UTF8', false)",
    'DEALLOCATE "p"',
    "PREPARE p AS SELECT 'ü'",
    "SELECT pg_catalog.set_config('client_encoding', 'LATIN1', false)",
  ]);
});
