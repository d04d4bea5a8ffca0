import { expect, test } from 'vitest';
import type { LeaderRecord } from '#domain/leader-record.ts';
import type { AgentStatus } from '#domain/status.ts';
import { statusDocumentSchema } from '#domain/status-document.ts';
import { type Answer, composeStatus, memberOf } from './compose-status.ts';

const CLUSTER = {
  proxy: null,
  name: 'main',
  members: [1, 2, 3].map((index) => ({
    name: `n${index}`,
    host: '127.0.0.1',
    port: 5432 + index,
    api: `127.0.0.1:${5532 + index}`,
  })),
};

const RECORD: LeaderRecord = {
  epoch: 4,
  member: 'n1',
  incarnation: 'n1_aa',
  timeline: 3,
  sync: ['n3_cc', 'n2_bb'],
  k: 1,
  eligible: ['n1', 'n2', 'n3'],
  since: '2025-01-01T00:00:10.000Z',
  cause: 'failover',
  evidence: {},
  renewal: 0,
};

function agent(name: string, incarnation: string, leader: LeaderRecord | null, change: Partial<AgentStatus> = {}): Answer {
  const leads = leader?.member === name;
  return {
    ok: true,
    status: {
      cluster: 'main',
      systemIdentifier: '7',
      self: {
        name,
        incarnation,
        state: leads ? 'primary' : 'streaming',
        role: leads ? 'primary' : 'standby',
        promise: 4,
        timeline: 3,
        lsn: '0/5000060',
        reason: 'follows n1 (H13)',
        since: '2025-01-01T00:00:11.000Z',
        api: '127.0.0.1:5533',
        host: '127.0.0.1',
        port: 5433,
        agentPid: 10,
        guardPid: 11,
        postgresPid: 12,
        progress: null,
        tls: { certificate: 'ab', authorities: ['cd'], expires: '2026-01-01T00:00:00.000Z' },
      },
      paused: false,
      durabilityMode: 'required',
      leader,
      storeReachable: true,
      members: [],
      followers: leads
        ? [
            { incarnation: 'n2_bb', lagBytes: 0, lagMs: 1, streaming: true },
            { incarnation: 'n3_old', lagBytes: 512, lagMs: 9, streaming: true },
          ]
        : [],
      ...change,
    },
  };
}
const SILENT: Answer = { ok: false, why: 'its agent does not answer' };

test('a healthy cluster', () => {
  const urls = { readWrite: 'postgresql://proxy', readOnly: 'postgresql://ro', direct: 'postgresql://all' };
  const answers = [agent('n1', 'n1_aa', RECORD), agent('n2', 'n2_bb', RECORD), SILENT];
  const document = composeStatus(CLUSTER, answers, urls, undefined);
  expect(statusDocumentSchema.parse(document)).toEqual(document);
  expect(document).toMatchObject({
    epoch: 4,
    leader: 'n1',
    durability: { mode: 'required', k: 1, sync: ['n2', 'n3'], degradedSince: null },
    connection: urls,
    proxy: null,
    members: [
      { name: 'n1', role: 'primary', lagBytes: 0 },
      { name: 'n2', role: 'standby', lagBytes: 0, lagMs: 1 },
      { name: 'n3', role: 'none', state: 'unreachable', reason: 'its agent does not answer', agentPid: null },
    ],
  });
});

test('of two records the one of the higher epoch is shown, whoever answers first', () => {
  const old = { ...RECORD, epoch: 3, member: 'n3', incarnation: 'n3_cc' };
  const document = composeStatus(
    CLUSTER,
    [agent('n1', 'n1_aa', RECORD), agent('n2', 'n2_bb', old), agent('n3', 'n3_cc', old)],
    undefined,
    undefined,
  );
  expect(document.leader).toBe('n1');
  expect(document.connection).toEqual({ readWrite: null, readOnly: null, direct: null });
});

test('a former leader that still runs as a primary has no lag of nought', () => {
  const old = { ...RECORD, epoch: 3, member: 'n3', incarnation: 'n3_cc' };
  const document = composeStatus(
    CLUSTER,
    [agent('n1', 'n1_aa', RECORD), SILENT, agent('n3', 'n3_cc', old)],
    undefined,
    undefined,
  );
  expect(document.members[2]).toMatchObject({ name: 'n3', role: 'primary', lagBytes: null });
});

test('the lag of an earlier incarnation is not the lag of the member', () => {
  const document = composeStatus(
    CLUSTER,
    [agent('n1', 'n1_aa', RECORD), SILENT, agent('n3', 'n3_new', RECORD)],
    undefined,
    undefined,
  );
  expect(document.members[2]?.lagBytes).toBeNull();
});

test('nobody answers', () => {
  const document = composeStatus(CLUSTER, [SILENT, SILENT, SILENT], undefined, undefined);
  expect(statusDocumentSchema.parse(document)).toEqual(document);
  expect(document).toMatchObject({ epoch: null, leader: null, durability: { mode: null, k: 0, sync: [] } });
});

test('before the first claim', () => {
  const document = composeStatus(CLUSTER, [agent('n1', 'n1_aa', null), SILENT, SILENT], undefined, undefined);
  expect(document).toMatchObject({ epoch: null, leader: null, durability: { mode: 'required' } });
});

test('the member of an incarnation', () => {
  expect(memberOf('east-1_4f2a')).toBe('east-1');
});

test('the proxy as it says it is, or that it does not answer', () => {
  const proxied = { ...CLUSTER, proxy: { host: '127.0.0.1', port: 6432, metricsPort: 6532 } };
  const health = { state: 'serving', pid: 7, epoch: 4, primary: 'n1', clients: 3, waiting: 1, servers: 2 } as const;
  const document = composeStatus(proxied, [SILENT, SILENT, SILENT], undefined, health);
  expect(statusDocumentSchema.parse(document)).toEqual(document);
  expect(document.proxy).toMatchObject({
    port: 6432,
    state: 'serving',
    primary: 'n1',
    clients: 3,
    waiting: 1,
    servers: 2,
    pid: 7,
  });
  const silent = composeStatus(proxied, [SILENT, SILENT, SILENT], undefined, undefined);
  expect(statusDocumentSchema.parse(silent)).toEqual(silent);
  expect(silent.proxy).toMatchObject({ port: 6432, state: 'unreachable', clients: null, pid: null });
});
