import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EFFECT } from '#sql/effects.ts';
import { PIN, pinReasons } from './pins.ts';
import { probeFor, type Traces } from './probe.ts';
import { EMPTY_STATE, SessionStates, sameState } from './session-state.ts';

const states = new SessionStates();
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');
const settings = fc.dictionary(fc.constantFrom('work_mem', 'a.b', 'datestyle', 'my.ü'), fc.string());

function traces(part: Partial<Traces>): Traces {
  return { effects: EFFECT.settings, settings: new Set(), allSettings: false, unsure: false, ...part };
}

const NOTHING: (string | null)[] = new Array(9).fill(null);

test('states are one object as long as their contents are equal, in whatever order they were made', () => {
  fc.assert(
    fc.property(settings, settings, (a, b) => {
      const [first, again] = [a, Object.fromEntries(Object.entries(a).reverse())].map((one) =>
        states.intern(new Map(Object.entries(one)), new Map()),
      );
      expect(first).toBe(again);
      const other = states.intern(new Map(Object.entries(b)), new Map());
      const equal = JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());
      expect(first !== undefined && sameState(first, other)).toBe(equal);
    }),
  );
  expect(states.intern(new Map(), new Map())).toBe(EMPTY_STATE);
});

test('what was read of named settings is kept beside what was known', () => {
  fc.assert(
    fc.property(settings, fc.string(), (known, value) => {
      const before = states.intern(new Map(Object.entries(known)), new Map());
      const probe = probeFor(traces({ settings: new Set(['work_mem']) }), before, 0, 'app', []);
      const found = probe.read(NOTHING.with(0, encoded({ work_mem: value })), 0, states);
      expect(Object.fromEntries(found?.state.settings ?? [])).toEqual({ ...known, work_mem: value });
      expect(found?.pins).toBe(0);
    }),
  );
});

test('what is not surely set is asked of the view, and forgotten when that does not know it', () => {
  const before = states.intern(new Map([['work_mem', '3MB']]), new Map());
  const probe = probeFor(traces({ settings: new Set(['work_mem']), unsure: true }), before, 0, 'app', []);
  expect(probe.sql).toContain('pg_settings');
  expect(probe.read(NOTHING, 0, states)?.state).toBe(EMPTY_STATE);
});

test('nobody else acts: role none and the login itself are no settings', () => {
  const before = states.intern(new Map([['role', 'worker']]), new Map());
  const probe = probeFor(traces({ settings: new Set(['role', 'session_authorization']) }), before, 0, 'app', []);
  const row = NOTHING.with(0, encoded({ role: 'none', session_authorization: 'app' }));
  expect(probe.read(row, 0, states)?.state).toBe(EMPTY_STATE);
});

test('pins come and go with what was counted, and stay when it was not', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 12 - 1 }), fc.constantFrom(null, '0', '3'), (pins, count) => {
      const probe = probeFor(traces({ effects: EFFECT.code }), EMPTY_STATE, pins, 'app', []);
      const found = probe.read(NOTHING.with(4, count), pins, states)?.pins ?? 0;
      if (count === null) expect(found).toBe(pins);
      else expect(found).toBe(count === '0' ? pins & ~PIN.locks : pins | PIN.locks);
      expect(pinReasons(found).reduce((bits, reason) => bits | PIN[reason], 0)).toBe(found);
    }),
  );
});

test('a row of another shape is no answer', () => {
  expect(probeFor(traces({}), EMPTY_STATE, 0, 'app', []).read(['1'], 0, states)).toBeUndefined();
});

test('its text is ASCII, whatever the settings are called', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (name) => {
      const { sql } = probeFor(traces({ settings: new Set([`a.${name}`]), allSettings: true }), EMPTY_STATE, 0, name, [
        `b.${name}`,
      ]);
      const printable = name.isWellFormed();
      if (printable) expect(Buffer.byteLength(sql)).toBe(sql.length);
    }),
  );
});
