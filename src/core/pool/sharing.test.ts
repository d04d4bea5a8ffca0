import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EMPTY_STATE, type SessionState } from './session-state.ts';
import { fits, mayJoin, mayShare, type Reader, type Train } from './sharing.ts';

const OTHER: SessionState = { settings: new Map([['work_mem', '1MB']]), prepared: new Map(), key: 'other' };

const states = fc.constantFrom(EMPTY_STATE, EMPTY_STATE, EMPTY_STATE, OTHER);
const signatures = fc.constantFrom('', '', '', 'options');
const rarely = fc.constantFrom(0, 0, 0, 0, 0, 1, 2048);
const reader: fc.Arbitrary<Reader> = fc.record({
  signature: signatures,
  state: states,
  pins: rarely,
  isShaken: fc.constantFrom(false, false, false, false, true),
  unreadBytes: rarely,
});
const stream = fc.record({
  signature: signatures,
  session: states,
  strange: fc.constantFrom(null, null, null, {}),
  cancels: rarely,
  retired: fc.constantFrom(false, false, false, true),
});
const train: fc.Arbitrary<Train> = fc.record({
  stream,
  isClosed: fc.constantFrom(false, false, false, true),
  isGathering: fc.boolean(),
  depth: fc.nat(34),
  expectedUs: fc.nat(11_000),
  since: fc.nat(25),
});
const expectedUs = fc.oneof(fc.nat(3000), fc.constant(Number.POSITIVE_INFINITY));

test('who joins has the same settings, nothing that ties it, and a bounded wait behind statements that are known', () => {
  let joined = 0;
  fc.assert(
    fc.property(reader, train, expectedUs, fc.boolean(), fc.nat(25), (one, ahead, us, isLast, now) => {
      if (!mayJoin(one, ahead, us, isLast, now, 20)) return;
      joined += 1;
      expect(one).toMatchObject({ pins: 0, isShaken: false, unreadBytes: 0 });
      expect(ahead.stream).toMatchObject({ signature: one.signature, strange: null, cancels: 0, retired: false });
      expect(ahead.stream.session).toBe(one.state);
      expect(ahead).toMatchObject({ isClosed: false });
      expect(ahead.depth).toBeLessThan(32);
      expect(now - ahead.since).toBeLessThanOrEqual(20);
      expect(us).toBeLessThan(Number.POSITIVE_INFINITY);
      expect(ahead.expectedUs).toBeLessThanOrEqual(10_000);
      // While connections are free, only what is sent in the same packet.
      if (!isLast) expect([ahead.isGathering, ahead.depth < 8, ahead.expectedUs + us <= 400]).toEqual([true, true, true]);
    }),
    { numRuns: 5000 },
  );
  expect(joined).toBeGreaterThan(10);
});

test('each condition by itself keeps a read away', () => {
  const willing: Reader = { signature: '', state: EMPTY_STATE, pins: 0, isShaken: false, unreadBytes: 0 };
  const free = { signature: '', session: EMPTY_STATE, strange: null, cancels: 0, retired: false };
  const open: Train = { stream: free, isClosed: false, isGathering: false, depth: 3, expectedUs: 100, since: 0 };
  const joins = (one: Partial<Reader>, ahead: Partial<Train> = {}, us = 50) =>
    mayJoin({ ...willing, ...one }, { ...open, ...ahead }, us, true, 10, 20);
  expect(joins({})).toBe(true);
  for (const one of [{ pins: 1 }, { isShaken: true }, { unreadBytes: 1 }]) {
    expect(mayShare({ ...willing, ...one })).toBe(false);
    expect(joins(one)).toBe(false);
  }
  for (const more of [{ signature: 'x' }, { session: OTHER }, { strange: {} }, { cancels: 1 }, { retired: true }]) {
    expect(fits(willing, { ...free, ...more })).toBe(false);
    expect(joins({}, { stream: { ...free, ...more } })).toBe(false);
  }
  for (const ahead of [{ isClosed: true }, { depth: 32 }, { expectedUs: 10_001 }, { since: -11 }])
    expect(joins({}, ahead)).toBe(false);
  expect(joins({}, {}, Number.POSITIVE_INFINITY)).toBe(false);
  // While connections are free.
  const gathering: Train = { ...open, isGathering: true };
  const gathers = (ahead: Partial<Train>, us = 50) => mayJoin(willing, { ...gathering, ...ahead }, us, false, 10, 20);
  expect(gathers({ depth: 7, expectedUs: 350 })).toBe(true);
  for (const ahead of [{ isGathering: false }, { depth: 8 }, { expectedUs: 351 }]) expect(gathers(ahead)).toBe(false);
});
