import { expect, test } from 'vitest';
import { DEFAULT_TIMINGS } from '../timings.ts';
import { initialClusterConfig, parseClusterConfig, parseClusterConfigText, parseMemberConfigText } from './parse-config.ts';

function refusal(action: () => unknown): { code: string; message: string } {
  try {
    action();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('expected a refusal');
}

test('an empty document is the safe default', () => {
  const config = parseClusterConfigText('', 'config.yaml');
  expect(config.durability).toEqual({ mode: 'required', count: 1 });
  expect(config.timings).toEqual(DEFAULT_TIMINGS);
  expect(config).toEqual(parseClusterConfig(null));
});

test('a configuration that was read once is read again unchanged', () => {
  const config = parseClusterConfigText('timings: {fenceMs: 2s, suspectAfterMs: 2500ms}\nmaximumLagBytes: 1MB', 'c');
  expect(config.timings.fenceMs).toBe(2000);
  expect(config.maximumLagBytes).toBe(2 ** 20);
  expect(parseClusterConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
});

test('two documents that were parsed do not share their defaults', () => {
  expect(parseClusterConfig({}).postgresql.parameters).not.toBe(parseClusterConfig({}).postgresql.parameters);
});

test.each([
  ['a value of the wrong type', 'paused: maybe', 'config.invalid', 'c.yaml, line 1: paused: expected boolean'],
  [
    'an unknown setting',
    'durability:\n  mod: async',
    'config.invalid',
    'c.yaml, line 2: durability.mod is no setting; did you mean mode?',
  ],
  ['an unknown section', 'timing: {}', 'config.invalid', 'c.yaml, line 1: timing is no setting; did you mean timings?'],
  ['a duration without sense', 'timings:\n  leaseMs: soon', 'config.invalid', 'line 2: timings.leaseMs: expected'],
  [
    'a fence longer than the suspicion',
    'timings:\n  suspectAfterMs: 1300ms',
    'config.invalid',
    'line 2: timings.suspectAfterMs: must be at least 1.1 times fenceMs (1320)',
  ],
  [
    'a lease shorter than the suspicion',
    'timings: {leaseMs: 1500}',
    'config.invalid',
    'timings.leaseMs: must be longer than suspectAfterMs',
  ],
  [
    'a heartbeat too slow for the fence',
    'timings: {heartbeatMs: 601}',
    'config.invalid',
    'timings.heartbeatMs: must be at most half',
  ],
  [
    'a parameter of Matriarch',
    'postgresql:\n  parameters:\n    Synchronous_Standby_Names: n1',
    'config.owned',
    'c.yaml, line 3: postgresql.parameters.Synchronous_Standby_Names: belongs to Matriarch',
  ],
  ['fsync off', 'postgresql: {parameters: {fsync: off}}', 'config.owned', 'parameters.fsync'],
  [
    'commits that no standby flushes',
    'postgresql: {parameters: {synchronous_commit: local}}',
    'config.invalid',
    'must be on or remote_apply',
  ],
  ['too few walsenders', 'postgresql: {parameters: {max_wal_senders: 2}}', 'config.invalid', 'must be at least 10'],
  ['a parameter on two lines', 'postgresql: {parameters: {work_mem: "4MB\\nfsync=off"}}', 'config.invalid', 'must be one line'],
  ['a parameter with a name that is none', 'postgresql: {parameters: {"a = b": 1}}', 'config.invalid', 'a = b'],
  ['YAML that is none', 'durability: [', 'config.malformed', 'c.yaml, line 1'],
  ['a key given twice', 'paused: true\npaused: false', 'config.malformed', 'c.yaml, line 2'],
  ['text instead of settings', 'hello', 'config.invalid', 'c.yaml, line 1: expected object'],
  [
    'aliases that multiply',
    `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c]`,
    'config.malformed',
    'alias',
  ],
])('%s is refused with its place', (_, text, code, message) => {
  const error = refusal(() => parseClusterConfigText(text, 'c.yaml'));
  expect(error.code).toBe(code);
  expect(error.message).toContain(message);
});

test('all that is wrong is said at once', () => {
  const { message } = refusal(() => parseClusterConfigText('paused: 1\nmaximumLagBytes: lots', 'c.yaml'));
  expect(message.split('\n')).toHaveLength(2);
});

test.each([
  [1, 'async'],
  [2, 'preferred'],
  [3, 'required'],
  [5, 'required'],
] as const)('a new cluster of %d members is %s', (members, mode) =>
  expect(initialClusterConfig(members).durability.mode).toBe(mode),
);

test('a cluster of one member cannot require a second one', () => {
  expect(refusal(() => initialClusterConfig(1, 'required')).code).toBe('config.invalid');
});

const MEMBER = `
cluster: main
name: n1
memberDir: /tmp/c/n1
host: 127.0.0.1
port: 5433
api: {host: 127.0.0.1, port: 5533}
postgresBin: /usr/lib/postgresql/15/bin
store: {kind: sqlite, file: /tmp/c/store.db}
tlsDir: /tmp/c/n1/tls
secretsFile: /tmp/c/secrets.json
`;

test('the file of a member gets the default tags', () => {
  expect(parseMemberConfigText(MEMBER, 'agent.yaml').tags).toEqual({
    nofailover: false,
    priority: 50,
    nosync: false,
    clonefrom: false,
  });
});

test.each([
  ['a port out of range', MEMBER.replace('port: 5433', 'port: 70000'), 'agent.yaml, line 6: port'],
  [
    'a relative folder',
    MEMBER.replace('memberDir: /tmp/c/n1', 'memberDir: n1'),
    'agent.yaml, line 4: memberDir: must be an absolute path',
  ],
  ['an unknown store', MEMBER.replace('kind: sqlite', 'kind: redis'), 'store.kind'],
  ['a slip in a tag', `${MEMBER}tags: {nofailoverr: true}`, 'tags.nofailoverr is no setting; did you mean nofailover?'],
  ['a slip in the store', MEMBER.replace('file: /tmp/c/store.db', 'files: /tmp/c/store.db'), 'store'],
])('%s in the file of a member is refused with its place', (_, text, message) => {
  const error = refusal(() => parseMemberConfigText(text, 'agent.yaml'));
  expect(error.code).toBe('config.invalid');
  expect(error.message).toContain(message);
});
