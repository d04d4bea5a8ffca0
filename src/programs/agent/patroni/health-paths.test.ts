import { describe, expect, test } from 'vitest';
import type { Leader } from '#core/ha/state.ts';
import { isHealthy } from './health-paths.ts';
import { patroniView } from './patroni-view.ts';
import { leaderState, NOW, PRIMARY, RECORD, STANDBY, standbyState } from './testing/states.ts';

type State = ReturnType<typeof leaderState>;

function code(state: State, target: string, now = NOW): number {
  const { pathname, searchParams } = new URL(target, 'http://n1');
  return isHealthy(patroniView(state, now, 'herd'), pathname, searchParams) ? 200 : 503;
}

const ALL = ['/', '/primary', '/master', '/read-write', '/leader', '/standby-leader', '/standby_leader', '/replica', '/read-only']
  .concat(['/sync', '/synchronous', '/read-only-sync', '/read-only-synchronous', '/quorum', '/read-only-quorum', '/async'])
  .concat(['/asynchronous', '/health', '/liveness', '/readiness', '/nothing']);

const open = (state: State, now = NOW) => ALL.filter((path) => code(state, path, now) === 200);

const record = (change: Partial<typeof RECORD>) => ({
  record: { value: { ...RECORD, ...change }, version: 9, freshAt: -Infinity, seenAt: 0 },
});

const LEADS = ['/', '/primary', '/master', '/read-write', '/leader', '/read-only', '/read-only-sync'].concat([
  '/read-only-synchronous',
  '/read-only-quorum',
  '/health',
  '/liveness',
  '/readiness',
]);
const RUNS = ['/health', '/liveness'];
const SYNC = ['/replica', '/read-only', '/sync', '/synchronous', '/read-only-sync', '/read-only-synchronous', '/quorum'].concat([
  '/read-only-quorum',
  '/health',
  '/liveness',
  '/readiness',
]);
const ASYNC = ['/replica', '/read-only', '/async', '/asynchronous', '/health', '/liveness', '/readiness'];
const published = (state: 'primary' | 'streaming') => ({ state, reason: '', incarnation: '', at: NOW });
const handover = (stage: 'checkpoint' | 'closing') => ({ phase: 'handover' as const, handover: { stage } as Leader['handover'] });

const CASES: readonly (readonly [title: string, state: State, paths: readonly string[]])[] = [
  ['a leader with fresh proof', leaderState(), LEADS],
  ['a leader whose server was just worked on', leaderState({ server: null, published: published('primary') }), LEADS],
  [
    'a standby whose server was just worked on',
    standbyState({ server: null, published: published('streaming') }),
    SYNC.filter((path) => path !== '/readiness'),
  ],
  ['a leader at the beginning of a switchover', leaderState({}, handover('checkpoint')), LEADS],
  ['a leader that lets no new client in any more', leaderState({}, handover('closing')), RUNS],
  ['a leader that is not let in to yet', leaderState({}, { phase: 'gating' }), RUNS],
  ['a leader that is fenced', leaderState({}, { fenced: true }), RUNS],
  ['a leader whose gate is closed', leaderState({ server: { ...PRIMARY, gateOpen: false } }), RUNS],
  ['a leader that has promised a later epoch', leaderState({ promise: 8 }), RUNS],
  ['a leader by its own word alone', leaderState(record({ member: 'n2', incarnation: 'n2_b' })), RUNS],
  ['a leader that nobody confirms', leaderState({ peers: {} }), RUNS],
  ['a leader whose server is gone', leaderState({ server: null }, { phase: 'ended' }), ['/liveness']],
  ['a primary that does not lead', leaderState({ role: { kind: 'member' } }), RUNS],
  ['a standby of the sync set', standbyState(), SYNC],
  ['a standby outside of it', standbyState(record({ sync: ['n3_c'] })), ASYNC],
  ['a standby while nobody is waited for', standbyState(record({ sync: [], k: 0 })), ASYNC],
  [
    'a standby of the set that does not stream',
    standbyState({ server: { ...STANDBY, streaming: false } }),
    ['/replica', '/read-only', ...RUNS],
  ],
  ['a standby that is being promoted', standbyState({ role: leaderState({}, { phase: 'preparing' }).role }), RUNS],
  [
    'a standby that is being stopped',
    standbyState({ job: { id: 1, job: { kind: 'stop', mode: 'fast' }, startedAt: NOW } }),
    ['/liveness'],
  ],
  ['a server that is starting', standbyState({ server: { state: 'starting' } }), ['/liveness']],
  ['a server that does not answer', standbyState({ server: { state: 'stuck', why: '' } }), ['/liveness']],
  ['no server', standbyState({ server: { state: 'absent' } }), ['/liveness']],
];

test.each(CASES)('%s', (_title, state, paths) => {
  const given = ALL.filter((path) => paths.includes(path));
  expect(open(state)).toEqual(given);
});

describe('A leader', () => {
  test('that slept is none when it wakes, before anything was decided', () => {
    const { fenceMs } = leaderState().config.timings;
    expect(code(leaderState(), '/primary', NOW - 100 + fenceMs - 1)).toBe(200);
    expect(code(leaderState(), '/primary', NOW - 100 + fenceMs)).toBe(503);
  });

  test('is asked about its tags only where standbys are meant as well', () => {
    expect(code(leaderState(), '/primary?tag_nofailover=true')).toBe(200);
    expect(code(leaderState(), '/read-only?tag_nofailover=true')).toBe(503);
    expect(code(leaderState(), '/read-only?tag_nofailover=false')).toBe(200);
  });
});

describe('The lag', () => {
  const lags: readonly (readonly [target: string, status: number])[] = [
    ['/replica?lag=1000', 200],
    ['/replica?lag=999', 503],
    ['/replica?lag=1kB', 200],
    ['/replica?lag=16MB', 200],
    ['/replica?lag=0', 503],
    // As Patroni: what cannot be read bounds nothing.
    ['/replica?lag=much', 200],
    ['/read-only?lag=999', 503],
    ['/sync?lag=999', 503],
    ['/readiness?lag=999', 503],
    ['/readiness?lag=999&mode=write', 200],
    ['/readiness?lag=499&mode=write', 503],
  ];
  test.each(lags)('%s: %i', (target, status) => {
    expect(code(standbyState(), target)).toBe(status);
  });

  test('is within no bound when the leader has not been heard for a lease, or its log is another', () => {
    const silent = standbyState({}, NOW - 10_001);
    expect([code(silent, '/replica?lag=1TB'), code(silent, '/replica'), code(silent, '/readiness')]).toEqual([503, 200, 503]);
    const parted = standbyState({ server: { ...STANDBY, position: { timeline: 2, lsn: 4500n } } });
    expect([code(parted, '/replica?lag=1TB'), code(parted, '/replica')]).toEqual([503, 200]);
  });

  test('of a log that the leader’s goes on from is told across the timelines', () => {
    const state = standbyState({ server: { ...STANDBY, position: { timeline: 2, lsn: 4500n } } });
    const { leaderSeen } = state;
    if (leaderSeen === null) throw new Error('no leader');
    const heartbeat = { ...leaderSeen.heartbeat, lineage: [{ timeline: 2, end: 4600n }] };
    expect(code({ ...state, leaderSeen: { ...leaderSeen, heartbeat } }, '/replica?lag=1000')).toBe(200);
  });

  test('counts what has come from the leader since it was last heard', () => {
    const server = { ...STANDBY, position: { timeline: 3, lsn: 9000n } };
    expect(code(standbyState({ server }), '/replica?lag=4999')).toBe(503);
    expect(code(standbyState({ server }), '/replica?lag=5000')).toBe(200);
  });
});

describe('Other filters', () => {
  const filters: readonly (readonly [query: string, status: number])[] = [
    ['replication_state=streaming', 200],
    ['replication_state=in%20archive%20recovery', 503],
    ['replication_state=', 200],
    ['tag_nofailover=false', 200],
    ['tag_nofailover=true', 503],
    ['tag_failover_priority=50', 200],
    ['tag_failover_priority=51', 503],
    ['tag_clonefrom=false&tag_nosync=false', 200],
    ['tag_priority=50', 503],
    ['tag_toString=x', 503],
    ['unknown=1', 200],
  ];
  test.each(filters)('/replica?%s: %i', (query, status) => {
    expect(code(standbyState(), `/replica?${query}`)).toBe(status);
  });
});

test('Words are found anywhere in a path, as Patroni finds them', () => {
  expect([code(leaderState(), '/primary/'), code(leaderState(), '/my-primary'), code(standbyState(), '/replica/x')]).toEqual([
    200, 200, 200,
  ]);
  expect([code(standbyState(), '/primary/'), code(leaderState(), '/standby_leader/x')]).toEqual([503, 503]);
});

describe('/liveness', () => {
  test('says whether the decisions are gone through; a standby has twice as long, a pause no end', () => {
    const { leaseMs } = leaderState().config.timings;
    expect(code(leaderState(), '/liveness', NOW + leaseMs - 1)).toBe(200);
    expect(code(leaderState(), '/liveness', NOW + leaseMs)).toBe(503);
    expect(code(standbyState(), '/liveness', NOW + leaseMs)).toBe(200);
    expect(code(standbyState(), '/liveness', NOW + 2 * leaseMs)).toBe(503);
    const paused = standbyState({ config: { ...standbyState().config, paused: true } });
    expect(code(paused, '/liveness', NOW + 2 * leaseMs)).toBe(200);
  });
});
