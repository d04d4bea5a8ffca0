import { expect, test } from 'vitest';
import type { MemberStatus, StatusDocument } from '#domain/status-document.ts';
import { headway, isComplete, news, takesWrites } from './readiness.ts';

function member(name: string, state: MemberStatus['state'], change: Partial<MemberStatus> = {}): MemberStatus {
  return {
    name,
    role: state === 'primary' ? 'primary' : state === 'streaming' ? 'standby' : 'none',
    state,
    timeline: 1,
    lsn: '0/3000000',
    lagBytes: null,
    lagMs: null,
    host: '127.0.0.1',
    port: 5433,
    api: '127.0.0.1:5533',
    agentPid: 1,
    guardPid: 2,
    postgresPid: 3,
    since: null,
    reason: '',
    ...change,
  };
}

function cluster(members: MemberStatus[], change: Partial<StatusDocument> = {}): StatusDocument {
  return {
    cluster: 'main',
    epoch: 1,
    leader: 'n1',
    paused: false,
    durability: { mode: 'required', k: 1, sync: ['n2'], degradedSince: null },
    connection: { readWrite: null, readOnly: null, direct: null },
    proxy: null,
    members,
    ...change,
  };
}

const COMPLETE = cluster([member('n1', 'primary'), member('n2', 'streaming'), member('n3', 'streaming')]);

test('complete: the leader is a primary and everybody else streams', () => {
  expect(isComplete(COMPLETE)).toBe(true);
});

test.each([
  ['nobody leads', { ...COMPLETE, leader: null }],
  ['the leader is still behind the gate', cluster([member('n1', 'gated', { role: 'primary' }), member('n2', 'streaming')])],
  ['no standby confirms commits that must be confirmed', { ...COMPLETE, durability: { ...COMPLETE.durability, k: 0 } }],
])('no writes while %s', (_, document) => {
  expect(takesWrites(document)).toBe(false);
  expect(isComplete(document)).toBe(false);
});

test('writes, and yet not complete, while a member is cloned', () => {
  const document = cluster([member('n1', 'primary'), member('n2', 'streaming'), member('n3', 'cloning')]);
  expect(takesWrites(document)).toBe(true);
  expect(isComplete(document)).toBe(false);
});

test('a leader that goes on alone, as `preferred` allows, takes writes', () => {
  const durability = { mode: 'preferred', k: 0, sync: [], degradedSince: { lsn: '0/1', at: '2025-01-01T00:00:00Z' } } as const;
  expect(takesWrites({ ...COMPLETE, durability: { ...durability, sync: [] } })).toBe(true);
});

test('news is a changed state, or how far a clone has come', () => {
  const before = cluster([member('n1', 'primary'), member('n2', 'cloning', { reason: '10MB' }), member('n3', 'streaming')]);
  const after = cluster([
    member('n1', 'primary'),
    member('n2', 'cloning', { reason: '20MB' }),
    member('n3', 'failed', { reason: 'disk' }),
  ]);
  expect(news(before, after)).toEqual(['n2: cloning – 20MB', 'n3: failed – disk']);
  expect(news(after, after)).toEqual([]);
  expect(headway(before)).not.toBe(headway(after));
  expect(headway(after)).toBe(headway(after));
});

test('not complete before the proxy serves, whose state is news', () => {
  const proxied = (state: NonNullable<StatusDocument['proxy']>['state']) => {
    const proxy = { host: '127.0.0.1', port: 6432, state, primary: null, clients: 0, waiting: 0, servers: 0, pid: 1 };
    return { ...COMPLETE, proxy };
  };
  expect(isComplete(proxied('unreachable'))).toBe(false);
  expect(isComplete(proxied('holding'))).toBe(false);
  expect(isComplete(proxied('serving'))).toBe(true);
  expect(news(COMPLETE, proxied('unreachable'))).toEqual([]);
  expect(news(proxied('unreachable'), proxied('serving'))).toEqual(['proxy: serving']);
  expect(news(proxied('serving'), proxied('serving'))).toEqual([]);
});
