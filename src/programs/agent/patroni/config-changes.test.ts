import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseClusterConfig } from '#domain/config/parse-config.ts';
import { PASSED_OVER, PASSED_OVER_POSTGRESQL, patchConfig, REFUSED, replaceConfig } from './config-changes.ts';
import { configView, inPatroniNames } from './config-view.ts';

const CONFIG = parseClusterConfig({
  durability: { mode: 'preferred', count: 2 },
  timings: { heartbeatMs: 150, leaseMs: '20s', degradeAfterMs: '3s' },
  maximumLagOnFailoverBytes: '2MB',
  postgresql: { parameters: { work_mem: '8MB', max_connections: 200 } },
});
const patched = (patch: unknown, config = CONFIG) => parseClusterConfig(patchConfig(config, patch));
const replaced = (document: unknown) => parseClusterConfig(replaceConfig(CONFIG, document));

test('Patroni’s document names what it has names for', () => {
  expect(configView(CONFIG)).toEqual({
    ttl: 20,
    maximum_lag_on_failover: 2 * 2 ** 20,
    maximum_lag_on_syncnode: 16 * 2 ** 20,
    synchronous_mode: 'quorum',
    synchronous_mode_strict: false,
    synchronous_node_count: 2,
    pause: false,
    postgresql: { parameters: { work_mem: '8MB', max_connections: '200' } },
  });
});

describe('PATCH', () => {
  test('of the whole document as it was read changes nothing', () => {
    for (const mode of ['required', 'preferred', 'async'] as const) {
      const config = { ...CONFIG, durability: { mode, count: 2 } };
      expect(patched(configView(config), config)).toEqual(config);
      expect(parseClusterConfig(replaceConfig(config, configView(config)))).toEqual(config);
    }
  });

  test('changes what it names and nothing else', () => {
    const { timings, ...others } = patched({ ttl: 30 });
    expect(timings).toEqual({ ...CONFIG.timings, leaseMs: 30_000 });
    expect({ ...others, timings: CONFIG.timings }).toEqual(CONFIG);
    expect(patched({ pause: true })).toEqual({ ...CONFIG, paused: true });
    expect(patched({ pause: 'on', maximum_lag_on_failover: '3145728' })).toEqual({
      ...CONFIG,
      paused: true,
      maximumLagOnFailoverBytes: 3 * 2 ** 20,
    });
  });

  test('with null takes a setting back to its default', () => {
    expect(patched({ ttl: null }).timings).toEqual({ ...CONFIG.timings, leaseMs: 10_000 });
    expect(patched({ maximum_lag_on_failover: null }).maximumLagOnFailoverBytes).toBe(2 ** 20);
    expect(patched({ postgresql: { parameters: { work_mem: null } } }).postgresql.parameters).toEqual({ max_connections: '200' });
    expect(patched({ postgresql: { parameters: null } }).postgresql.parameters).toEqual({});
    expect(patched({ postgresql: null }).postgresql.parameters).toEqual({});
    expect(patched({ synchronous_node_count: null }).durability).toEqual({ mode: 'preferred', count: 1 });
  });

  test('sets parameters one by one', () => {
    const parameters = { work_mem: '9MB', 'pg_stat_statements.max': 100 };
    expect(patched({ postgresql: { parameters } }).postgresql.parameters).toEqual({
      work_mem: '9MB',
      max_connections: '200',
      'pg_stat_statements.max': '100',
    });
  });

  test('passes over the parameters that hold here anyway, and not their contrary', () => {
    const parameters = {
      hot_standby: 'on',
      wal_log_hints: true,
      listen_addresses: '*',
      port: 5432,
      cluster_name: 'x',
      wal_level: 'replica',
    };
    expect(patched({ postgresql: { parameters } }).postgresql.parameters).toEqual({
      ...CONFIG.postgresql.parameters,
      wal_level: 'replica',
    });
    expect(() => patched({ postgresql: { parameters: { hot_standby: 'off' } } })).toThrow(
      expect.objectContaining({ code: 'config.owned' }),
    );
  });

  const modes: readonly (readonly [from: 'required' | 'preferred' | 'async', patch: object, to: string])[] = [
    ['async', { synchronous_mode: true }, 'preferred'],
    ['async', { synchronous_mode: 'on' }, 'preferred'],
    ['async', { synchronous_mode: 'quorum', synchronous_mode_strict: true }, 'required'],
    ['async', { synchronous_mode_strict: true }, 'async'],
    ['preferred', { synchronous_mode_strict: true }, 'required'],
    ['required', { synchronous_mode: 'on' }, 'required'],
    ['required', { synchronous_mode_strict: false }, 'preferred'],
    ['required', { synchronous_mode_strict: null }, 'preferred'],
    ['required', { synchronous_mode: 'off' }, 'async'],
    ['required', { synchronous_mode: false, synchronous_mode_strict: true }, 'async'],
    ['required', { synchronous_mode: null }, 'async'],
    ['required', { ttl: 20 }, 'required'],
  ];
  test.each(modes)('%s and %j: %s', (mode, patch, to) => {
    expect(patched(patch, { ...CONFIG, durability: { mode, count: 2 } }).durability).toEqual({ mode: to, count: 2 });
  });

  test('passes over what has no meaning here, and refuses what would be believed to be in force', () => {
    const nothing = Object.fromEntries(PASSED_OVER.map((name) => [name, 1]));
    const postgresql = Object.fromEntries(PASSED_OVER_POSTGRESQL.map((name) => [name, true]));
    expect(patched({ ...nothing, postgresql })).toEqual(CONFIG);
    for (const [name, why] of Object.entries(REFUSED)) {
      const given = (value: unknown) =>
        name.startsWith('postgresql.') ? { postgresql: { [name.slice('postgresql.'.length)]: value } } : { [name]: value };
      expect(() => patched(given({ a: 1 }))).toThrow(`config: ${name}: ${why}`);
      expect(patched(given(null))).toEqual(CONFIG);
      expect(patched(given({}))).toEqual(CONFIG);
    }
  });

  const bad: readonly (readonly [patch: unknown, code: string, place: string])[] = [
    [undefined, 'api.malformed', 'the body'],
    [[], 'api.malformed', 'the body'],
    ['x', 'api.malformed', 'the body'],
    [{}, 'api.malformed', 'the body'],
    [{ tll: 30 }, 'config.invalid', 'config: tll is no setting'],
    [{ postgresql: { paramters: {} } }, 'config.invalid', 'config: postgresql.paramters is no setting'],
    [{ postgresql: 1 }, 'config.invalid', 'config: postgresql:'],
    [{ postgresql: { parameters: [] } }, 'config.invalid', 'config: postgresql.parameters:'],
    [{ ttl: 'soon' }, 'config.invalid', 'config: ttl:'],
    [{ ttl: '' }, 'config.invalid', 'config: ttl:'],
    [{ pause: 'maybe' }, 'config.invalid', 'config: pause:'],
    [{ synchronous_mode: 'first' }, 'config.invalid', 'config: synchronous_mode:'],
    [{ synchronous_mode: 'toString' }, 'config.invalid', 'config: synchronous_mode:'],
    [JSON.parse('{"__proto__": {"ttl": 1}}'), 'config.invalid', 'config: __proto__ is no setting'],
    [{ ttl: 1, loop_wiat: 2, slot: {} }, 'config.invalid', 'config: loop_wiat is no setting'],
  ];
  test.each(bad)('%j is refused with its place', (patch, code, place) => {
    expect(() => patchConfig(CONFIG, patch)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(place) }));
  });

  test('names the place of what the checker finds as the caller named it', () => {
    expect(inPatroniNames('config: timings.leaseMs: must be longer\nconfig: durability.count: too big')).toBe(
      'config: ttl: must be longer\nconfig: synchronous_node_count: too big',
    );
  });
});

test('PUT takes back what it does not name, but neither the durability nor what Patroni has no name for', () => {
  expect(replaced({ ttl: 25, postgresql: { parameters: { work_mem: '1MB' } } })).toEqual({
    ...CONFIG,
    timings: { ...CONFIG.timings, leaseMs: 25_000 },
    maximumLagOnFailoverBytes: 2 ** 20,
    postgresql: { parameters: { work_mem: '1MB' }, hba: CONFIG.postgresql.hba },
  });
});

test('The documentation lists what is passed over and what is refused', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../../docs/patroni-api.md'), 'utf8');
  const names = [...PASSED_OVER, ...PASSED_OVER_POSTGRESQL.map((name) => `postgresql.${name}`), ...Object.keys(REFUSED)];
  expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});
