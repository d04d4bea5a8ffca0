import { expect, test } from 'vitest';
import type { StoreChange } from '#domain/ports/store.ts';
import { cellText } from './cells.ts';
import { Mirror } from './mirror.ts';
import { Sightings } from './sightings.ts';

const texts = (entries: Readonly<Record<string, readonly [version: number, value: unknown, ttlMs?: number]>>) =>
  new Map(
    Object.entries(entries).map(([key, [version, value, ttlMs]]) => [
      key,
      cellText({ version, value, ...(ttlMs === undefined ? {} : { ttlMs }) }),
    ]),
  );
const told = (changes: readonly StoreChange[]) => changes.map(({ key, current }) => [key, current?.value]);

test('only what differs is told: what is gone first, then what is new in the order of its writing', () => {
  const mirror = new Mirror(new Sightings());
  expect(told(mirror.take('records', 'main', texts({ b: [2, 'b'], a: [5, 'a'] }), 6))).toEqual([
    ['b', 'b'],
    ['a', 'a'],
  ]);
  expect(mirror.take('records', 'main', texts({ b: [2, 'b'], a: [5, 'a'] }), 7)).toEqual([]);
  expect(told(mirror.take('records', 'main', texts({ b: [8, 'new'], c: [9, 'c'] }), 9))).toEqual([
    ['a', undefined],
    ['b', 'new'],
    ['c', 'c'],
  ]);
  expect(told(mirror.entries())).toEqual([
    ['b', 'new'],
    ['c', 'c'],
  ]);
});

test('an object that a listing has no more takes its keys along, and no other kind does', () => {
  const mirror = new Mirror(new Sightings());
  const pod = (name: string, version: number) => ({ texts: texts({ [`members/${name}`]: [version, name] }), revision: version });
  mirror.take('records', 'main', texts({ config: [1, 1] }), 1);
  mirror.takeAll(
    'pod',
    new Map([
      ['n1', pod('n1', 2)],
      ['n2', pod('n2', 3)],
    ]),
  );
  expect(told(mirror.takeAll('pod', new Map([['n2', pod('n2', 4)]])))).toEqual([
    ['members/n1', undefined],
    ['members/n2', 'n2'],
  ]);
  expect(told(mirror.entries())).toEqual([
    ['config', 1],
    ['members/n2', 'n2'],
  ]);
});

test('a key that has expired is told gone once, and is back with its next version', () => {
  const mirror = new Mirror(new Sightings());
  mirror.take('pod', 'n1', texts({ a: [1, 1, 0] }), 1);
  mirror.take('pod', 'n2', texts({ b: [2, 2, 60_000] }), 2);
  expect(told(mirror.entries())).toEqual([['b', 2]]);
  expect(mirror.expire()).toEqual([]);
  expect(mirror.take('pod', 'n1', texts({ a: [1, 1, 0] }), 3)).toEqual([]);
  expect(told(mirror.take('pod', 'n1', texts({ a: [4, 1, 60_000] }), 4))).toEqual([['a', 1]]);
  expect(mirror.nextExpiryMs()).toBeGreaterThan(59_000);
  expect(told(mirror.take('pod', 'n1', texts({ a: [5, 1, 0] }), 5))).toEqual([['a', undefined]]);
});
