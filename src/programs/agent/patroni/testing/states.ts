import { newLeader } from '#core/ha/new-leader.ts';
import { type HaState, initialState, type Leader } from '#core/ha/state.ts';
import { haSettings } from '#domain/config/ha-settings.ts';
import { parseClusterConfig } from '#domain/config/parse-config.ts';
import type { LeaderRecord } from '#domain/leader-record.ts';
import type { MemberRecord } from '#domain/member.ts';
import type { ServerNotes, ServerView } from '#domain/server.ts';

// States of a cluster n1 (leader), n2 and n3, as its members hold them at the time NOW.

export const NOW = 100_000;
const TAGS = { nofailover: false, priority: 50, nosync: false, clonefrom: false };

export const NOTES: ServerNotes = {
  version: 150_014,
  startedAtMs: Date.UTC(2026, 10, 21, 9),
  replayedAtMs: null,
  replayPaused: false,
  senders: [],
};

export const RECORD: LeaderRecord = {
  epoch: 7,
  member: 'n1',
  incarnation: 'n1_a',
  timeline: 3,
  sync: ['n2_b', 'n3_c'],
  k: 1,
  eligible: ['n1', 'n2', 'n3'],
  since: '2026-11-21T09:00:00.000Z',
  cause: 'failover',
  evidence: {},
  renewal: 0,
};

export const PRIMARY: Extract<ServerView, { state: 'primary' }> = {
  state: 'primary',
  position: { timeline: 3, lsn: 5000n },
  lineage: [],
  followers: [
    { incarnation: 'n2_b', streaming: true, flushed: 5000n, replayed: 4000n, silentMs: 0 },
    { incarnation: 'n3_c', streaming: true, flushed: 3000n, replayed: 3000n, silentMs: 0 },
  ],
  setting: { sync: ['n2_b', 'n3_c'], k: 1 },
  gateOpen: true,
  notes: NOTES,
};

export const STANDBY: Extract<ServerView, { state: 'standby' }> = {
  state: 'standby',
  position: { timeline: 3, lsn: 4500n },
  replayed: 4000n,
  lineage: [],
  streaming: true,
  upstreamSilentMs: 0,
  notes: NOTES,
};

function memberRecord(name: string, incarnation: string, state: MemberRecord['state']): MemberRecord {
  const port = 5432 + Number(name.slice(1));
  return {
    name,
    incarnation,
    api: `10.0.0.1:${port + 100}`,
    host: '10.0.0.1',
    port,
    tags: TAGS,
    versions: { matriarch: '0', postgres: '15' },
    state,
    position: { timeline: 3, lsn: 1000n },
    reason: '',
  };
}

function baseState(name: string, incarnation: string): HaState {
  const self = { name, host: '10.0.0.1', port: 5432, tags: TAGS, run: 'r', publishEveryMs: 10_000 };
  const config = haSettings(parseClusterConfig({}));
  return {
    ...initialState({ self, config, promise: 7, incarnation, seed: 1, now: 0, wall: RECORD.since }),
    steppedAt: NOW,
    record: { value: RECORD, version: 9, freshAt: -Infinity, seenAt: 0 },
    identity: { systemIdentifier: '7300000000000000001', by: 'n1' },
    members: {
      n1: memberRecord('n1', 'n1_a', 'primary'),
      n2: memberRecord('n2', 'n2_b', 'streaming'),
      n3: memberRecord('n3', 'n3_c', 'streaming'),
    },
  };
}

/** n1, which leads and whose proof is fresh. */
export function leaderState(change: Partial<HaState> = {}, role: Partial<Leader> = {}): HaState {
  const peer = { promised: 7, position: PRIMARY.position, heardAt: NOW, confirmedAt: NOW - 100 };
  return {
    ...baseState('n1', 'n1_a'),
    server: PRIMARY,
    role: { ...newLeader(7, 'serving', 0), ...role },
    peers: { n2: { ...peer, incarnation: 'n2_b' }, n3: { ...peer, incarnation: 'n3_c' } },
    ...change,
  };
}

/** n2, which streams from n1 and heard it a moment ago. */
export function standbyState(change: Partial<HaState> = {}, heardAt = NOW - 100): HaState {
  const heartbeat = {
    kind: 'heartbeat',
    epoch: 7,
    run: 'r1',
    sentAt: 0,
    fenceMs: 1200,
    server: { host: '10.0.0.1', port: 5432 },
    position: PRIMARY.position,
    lineage: [],
    checkpointed: true,
  } as const;
  return {
    ...baseState('n2', 'n2_b'),
    server: STANDBY,
    heartbeatAt: heardAt,
    leaderSeen: { member: 'n1', heartbeat, at: heardAt },
    ...change,
  };
}
