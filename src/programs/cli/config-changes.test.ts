import fc from 'fast-check';
import { expect, test } from 'vitest';
import { applyChanges, describeChanges } from './config-changes.ts';

const asNumber = (text: string): unknown => (Number.isNaN(Number(text)) ? text : Number(text));

test('settings are set, made and taken out', () => {
  const settings = { paused: false, timings: { leaseMs: 10_000, fenceMs: 1200 } };
  expect(
    applyChanges(
      settings,
      ['timings.leaseMs=15s', 'timings.fenceMs=', 'postgresql.parameters.pg_stat_statements.max=500'],
      asNumber,
    ),
  ).toEqual({
    paused: false,
    timings: { leaseMs: '15s' },
    postgresql: { parameters: { 'pg_stat_statements.max': 500 } },
  });
  expect(settings.timings.leaseMs).toBe(10_000);
});

test('a value may hold the sign itself', () => {
  expect(applyChanges({}, ['a=b=c'], asNumber)).toEqual({ a: 'b=c' });
});

test.each(['paused', '=1', ''])('%j is no change', (change) => {
  expect(() => applyChanges({}, [change], asNumber)).toThrow(expect.objectContaining({ code: 'usage.invalidArgument' }));
});

test('differences are named by their path', () => {
  expect(describeChanges({ a: { b: 1, c: 2 }, d: true }, { a: { b: 1, c: 3, e: 'x' }, d: true })).toEqual([
    'a.c: 2 → 3',
    'a.e: not set → x',
  ]);
});

test('lists are compared by what is in them', () => {
  expect(describeChanges({ a: [], b: ['x'] }, { a: [], b: ['x', 'y'] })).toEqual(['b: ["x"] → ["x","y"]']);
});

test('what was set is the only difference', () => {
  const names = fc.constantFrom('a', 'b', 'c.d', 'c.e');
  fc.assert(
    fc.property(names, fc.integer(), (name, value) => {
      const before = { a: 'old', b: 'old', c: { d: 'old', e: 'old' } };
      expect(describeChanges(before, applyChanges(before, [`${name}=${value}`], asNumber))).toEqual([`${name}: old → ${value}`]);
    }),
  );
});
