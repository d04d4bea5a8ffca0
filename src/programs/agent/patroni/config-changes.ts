import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import { fail } from '#domain/errors.ts';
import { suggest } from '#domain/suggest.ts';

type Tree = { readonly [key: string]: unknown };
type Mode = ClusterConfig['durability']['mode'];

/** Settings of Patroni that steer what Matriarch does in another way, or by itself: taken, and passed over. */
export const PASSED_OVER: readonly string[] = [
  'loop_wait',
  'retry_timeout',
  'primary_start_timeout',
  'master_start_timeout',
  'primary_stop_timeout',
  'master_stop_timeout',
  'primary_race_backoff',
  'max_timelines_history',
  'member_slots_ttl',
  'check_timeline',
  'failsafe_mode',
  'ignore_slots',
];

export const PASSED_OVER_POSTGRESQL: readonly string[] = [
  'use_pg_rewind',
  'use_slots',
  'remove_data_directory_on_rewind_failure',
  'remove_data_directory_on_diverged_timelines',
  'create_replica_methods',
  'basebackup',
  'pg_ctl_timeout',
  'use_unix_socket',
  'use_unix_socket_repl',
];

/** What Patroni itself overrules, when it says what holds here anyway. */
const PASSED_OVER_PARAMETERS: Readonly<Record<string, readonly string[] | 'any'>> = {
  hot_standby: ['on', 'true', 'yes', '1'],
  wal_log_hints: ['on', 'true', 'yes', '1'],
  listen_addresses: 'any',
  port: 'any',
  cluster_name: 'any',
};

/** What a caller must not believe to be in force. `null` and emptiness ask for nothing, and are taken. */
export const REFUSED: Readonly<Record<string, string>> = {
  standby_cluster: 'a cluster that follows another one does not exist here',
  slots: 'permanent slots do not exist here',
  'postgresql.pg_hba': 'the access rules are the gate that admits clients, and belong to Matriarch',
  'postgresql.pg_ident': 'the file of user names is written by the agent',
  'postgresql.recovery_conf': 'recovery settings belong to Matriarch',
  'postgresql.callbacks': 'scripts are not called',
};

/** JSON merge patch (RFC 7396) in Patroni's names: null takes a setting back to its default. Errors: `config.invalid`. */
export function patchConfig(config: ClusterConfig, patch: unknown): unknown {
  return change(config, readTree(patch, 'the body'));
}

/**
 * The whole document anew. What it does not name goes back to its default, except the durability of commits: that changes only where
 * somebody writes it down. What Patroni has no name for stays. Errors: `config.invalid`.
 */
export function replaceConfig(config: ClusterConfig, document: unknown): unknown {
  const given = readTree(document, 'the body');
  const absent = { ttl: null, maximum_lag_on_failover: null, maximum_lag_on_syncnode: null, pause: null };
  const base = { ...config, postgresql: { ...config.postgresql, parameters: {} } };
  return change(base, { ...absent, ...given });
}

function change(config: ClusterConfig, patch: Tree): unknown {
  const problems = problemsOf(patch);
  if (problems.length > 0) return fail('config.invalid', problems.map((problem) => `config: ${problem}`).join('\n'));
  const postgresql = (patch.postgresql ?? {}) as Tree;
  return {
    ...config,
    timings: withSetting(config.timings, 'leaseMs', patch.ttl, (ttl) => number(ttl, 'ttl') * 1000),
    durability: durabilityOf(config.durability, patch),
    maximumLagBytes: changed(config.maximumLagBytes, patch.maximum_lag_on_syncnode, (bytes) =>
      Number(bytes) === -1 ? 2 ** 50 : size(bytes),
    ),
    maximumLagOnFailoverBytes: changed(config.maximumLagOnFailoverBytes, patch.maximum_lag_on_failover, size),
    paused: changed(config.paused, patch.pause, (value) => flag(value, 'pause')),
    postgresql: {
      ...config.postgresql,
      parameters: parametersOf(config, patch.postgresql === null ? null : postgresql.parameters),
    },
  };
}

/** Undefined: as it is. null: the checker fills the default in. */
function changed<T>(current: T, value: unknown, read: (value: unknown) => unknown): unknown {
  if (value === undefined) return current;
  return value === null ? undefined : read(value);
}

function withSetting(tree: Tree, key: string, value: unknown, read: (value: unknown) => unknown): Tree {
  return { ...tree, [key]: changed(tree[key], value, read) };
}

function durabilityOf(current: ClusterConfig['durability'], patch: Tree): Tree {
  const count = (value: unknown) => number(value, 'synchronous_node_count');
  return { mode: modeOf(current.mode, patch), count: changed(current.count, patch.synchronous_node_count, count) };
}

/** Patroni's two switches for our one. Strict without a synchronous mode means nothing, there as here. */
function modeOf(current: Mode, { synchronous_mode: mode, synchronous_mode_strict: strict }: Tree): Mode {
  const synchronous =
    mode === undefined ? current !== 'async' : mode === 'quorum' || (mode !== null && flag(mode, 'synchronous_mode'));
  if (!synchronous) return 'async';
  const required = strict === undefined ? current === 'required' : strict !== null && flag(strict, 'synchronous_mode_strict');
  return required ? 'required' : 'preferred';
}

function parametersOf(config: ClusterConfig, patch: unknown): Tree {
  if (patch === undefined) return config.postgresql.parameters;
  if (patch === null) return {};
  const wanted = Object.entries(patch as Tree).filter(([name, value]) => !isPassedOver(name, value));
  const removed = wanted.filter(([, value]) => value === null).map(([name]) => name);
  const kept = Object.entries(config.postgresql.parameters).filter(([name]) => !removed.includes(name));
  return Object.fromEntries([...kept, ...wanted.filter(([, value]) => value !== null)]);
}

function isPassedOver(name: string, value: unknown): boolean {
  const values = Object.hasOwn(PASSED_OVER_PARAMETERS, name) ? PASSED_OVER_PARAMETERS[name] : undefined;
  return values === 'any' || (values?.includes(String(value).toLowerCase()) ?? false);
}

const TAKEN = [
  'ttl',
  'maximum_lag_on_failover',
  'maximum_lag_on_syncnode',
  'synchronous_mode',
  'synchronous_mode_strict',
  'synchronous_node_count',
  'pause',
  'postgresql',
];

function problemsOf(patch: Tree): readonly string[] {
  const postgresql = patch.postgresql ?? {};
  if (!isTree(postgresql)) return ['postgresql: must be an object'];
  const parameters = postgresql.parameters ?? {};
  return [
    ...unknownOf(patch, '', [...TAKEN, ...PASSED_OVER]),
    ...unknownOf(postgresql, 'postgresql.', ['parameters', ...PASSED_OVER_POSTGRESQL]),
    ...(isTree(parameters) ? [] : ['postgresql.parameters: must be an object']),
  ];
}

function unknownOf(tree: Tree, prefix: string, known: readonly string[]): readonly string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    if (known.includes(key)) return [];
    const name = `${prefix}${key}`;
    const why = Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined;
    if (why === undefined) return [`${name} is no setting${suggest(key, known)}`];
    return asksForNothing(value) ? [] : [`${name}: ${why}`];
  });
}

function asksForNothing(value: unknown): boolean {
  return value === null || (typeof value === 'object' && Object.keys(value).length === 0);
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readTree(value: unknown, what: string): Tree {
  if (isTree(value) && Object.keys(value).length > 0) return value;
  return fail('api.malformed', `${what} must be an object with settings in it`);
}

/** JSON's numbers, or text that holds one. What is none goes on as it is: the checker names it with its place. */
function number(value: unknown, name: string): number {
  const read = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof read === 'number' && Number.isFinite(read) ? read : fail('config.invalid', `config: ${name}: must be a number`);
}

function size(value: unknown): unknown {
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
}

const WORDS: Readonly<Record<string, boolean>> = {
  true: true,
  on: true,
  yes: true,
  '1': true,
  false: false,
  off: false,
  no: false,
  '0': false,
};

function flag(value: unknown, name: string): boolean {
  const word = String(value).toLowerCase();
  const read = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  return read ?? fail('config.invalid', `config: ${name}: must be true or false`);
}
