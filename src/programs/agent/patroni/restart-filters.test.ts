import { expect, test } from 'vitest';
import { patroniView } from './patroni-view.ts';
import { readRestart, whyNoRestart } from './restart-filters.ts';
import { leaderState, NOW, standbyState } from './testing/states.ts';

const PRIMARY = patroniView(leaderState(), NOW, 'herd');
const STANDBY = patroniView(standbyState(), NOW, 'herd');
const why = (body: unknown, view = STANDBY, pending?: readonly string[]) => whyNoRestart(readRestart(body), view, pending);

test('A restart is for whoever its filters fit', () => {
  for (const body of [
    undefined,
    null,
    {},
    { role: 'replica' },
    { postgres_version: '15.15' },
    { timeout: 30 },
    { restart_pending: false },
  ])
    expect(why(body), JSON.stringify(body)).toBeNull();
  for (const role of ['primary', 'master']) expect(why({ role }, PRIMARY)).toBeNull();
  expect(why({ restart_pending: true }, STANDBY, ['max_connections'])).toBeNull();
  expect(why({ role: 'primary' })).toBe('its role is replica');
  expect(why({ role: 'replica' }, PRIMARY)).toBe('its role is primary');
  expect(why({ postgres_version: '15.14' })).toBe('its version is 150014');
  expect(why({ postgres_version: '15.15' }, { ...STANDBY, notes: null })).toBe('its version is not known');
  expect(why({ restart_pending: true }, STANDBY, [])).toContain('no parameter');
  expect(why({ restart_pending: true })).toContain('not known');
});

test('Timeouts are seconds, or have a unit, and a bound', () => {
  expect([30, '30', '30s', '500ms', '1min', '10h'].map((timeout) => readRestart({ timeout }).timeoutMs)).toEqual([
    30_000, 30_000, 30_000, 500, 60_000, 600_000,
  ]);
  expect(readRestart({ schedule: '2030-01-01' }).scheduled).toBe(true);
});

test('What is no filter is refused with its name', () => {
  const bad = [
    [],
    'x',
    { role: 'leader' },
    { postgres_version: 'new' },
    { timeout: 0 },
    { timeout: 'soon' },
    { timeout: -1 },
    { rol: 1 },
  ];
  for (const body of [...bad, { restart_pending: 'yes' }])
    expect(() => readRestart(body), JSON.stringify(body)).toThrow(expect.objectContaining({ code: 'api.malformed' }));
  expect(() => readRestart({ rol: 1 })).toThrow('rol');
});
