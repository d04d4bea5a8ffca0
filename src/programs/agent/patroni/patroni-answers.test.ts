import { describe, expect, test } from 'vitest';
import type { HaState } from '#core/ha/state.ts';
import type { HistoryEntry } from '#domain/leader-record.ts';
import { VERSION } from '#programs/cli/version.ts';
import { clusterView } from './cluster-view.ts';
import { historyView } from './history-view.ts';
import { renderMetrics } from './metrics.ts';
import { patroniState } from './patroni-state.ts';
import { patroniStatus, SPOKEN_VERSION } from './patroni-status.ts';
import { patroniView } from './patroni-view.ts';
import { leaderState, NOTES, NOW, PRIMARY, RECORD, STANDBY, standbyState } from './testing/states.ts';

const viewOf = (state: HaState) => patroniView(state, NOW, 'herd');
const EXTRAS = { storeSeenAtMs: Date.UTC(2026, 10, 21, 9, 0, 1, 500) };
const statusOf = (state: HaState, pendingRestart?: readonly string[]) =>
  patroniStatus(viewOf(state), { ...EXTRAS, pendingRestart });

describe('/patroni', () => {
  test('of a primary', () => {
    const senders = [
      { user: 'replicator', application: 'n2_b', address: '10.0.0.2', state: 'streaming', syncState: 'quorum', syncPriority: 1 },
    ];
    expect(statusOf(leaderState({ server: { ...PRIMARY, notes: { ...NOTES, senders } } }), ['max_connections'])).toEqual({
      state: 'running',
      postmaster_start_time: '2026-11-21 09:00:00.000+00:00',
      role: 'primary',
      server_version: 150_014,
      xlog: { location: 5000 },
      timeline: 3,
      replication: [
        {
          usename: 'replicator',
          application_name: 'n2_b',
          client_addr: '10.0.0.2',
          state: 'streaming',
          sync_state: 'quorum',
          sync_priority: 1,
        },
      ],
      dcs_last_seen: Date.UTC(2026, 10, 21, 9, 0, 1) / 1000,
      database_system_identifier: '7300000000000000001',
      pending_restart: true,
      patroni: { version: SPOKEN_VERSION, scope: 'herd', name: 'n1' },
      matriarch: { version: VERSION },
    });
  });

  test('of a standby', () => {
    const notes = { ...NOTES, replayedAtMs: Date.UTC(2026, 10, 21, 8), replayPaused: true };
    const self = { ...standbyState().self, tags: { nofailover: true, priority: 10, nosync: false, clonefrom: false } };
    const config = { ...standbyState().config, paused: true };
    expect(statusOf(standbyState({ server: { ...STANDBY, notes }, self, config }))).toMatchObject({
      role: 'replica',
      replication_state: 'streaming',
      quorum_standby: true,
      pause: true,
      tags: { nofailover: true, failover_priority: 10 },
      xlog: {
        received_location: 4500,
        replayed_location: 4000,
        replayed_timestamp: '2026-11-21 08:00:00.000+00:00',
        paused: true,
      },
    });
  });

  test('tells a member whom every commit waits for from one of those of whom some do', () => {
    const record = { value: { ...RECORD, k: 2 }, version: 9, freshAt: -Infinity, seenAt: 0 };
    const status = statusOf(standbyState({ record }));
    expect([status.sync_standby, status.quorum_standby]).toEqual([true, undefined]);
  });

  test('leaves out what is not known', () => {
    const status = patroniStatus(viewOf(standbyState({ server: { state: 'absent' }, identity: null, leaderSeen: null })), {
      storeSeenAtMs: null,
    });
    expect(status).toEqual({
      state: 'stopped',
      role: 'uninitialized',
      cluster_unlocked: true,
      patroni: expect.anything(),
      matriarch: expect.anything(),
    });
  });
});

test('Every state of a member has a name of Patroni’s', () => {
  const job = (kind: 'clone' | 'rewind' | 'startStandby' | 'follow') => ({ id: 1, job: { kind } as never, startedAt: NOW });
  const published = (state: 'failed' | 'stopped') => ({ state, reason: '', incarnation: '', at: NOW });
  const stopped = { state: 'stopped', position: PRIMARY.position, lineage: [], wasPrimary: false, redoBytes: 0 } as const;
  const cases: readonly (readonly [change: Partial<HaState>, state: string])[] = [
    [{ job: job('clone') }, 'creating replica'],
    [{ job: job('rewind') }, 'stopped'],
    [{ job: job('startStandby') }, 'starting'],
    [{ job: job('follow') }, 'running'],
    [{ restarting: 'id', server: null, job: job('startStandby') }, 'restarting'],
    [{ server: { ...stopped, clean: true } }, 'stopped'],
    [{ server: { ...stopped, clean: false } }, 'crashed'],
    [{ server: { ...stopped, clean: false }, published: published('failed') }, 'start failed'],
    [{ server: null, published: published('stopped') }, 'stopped'],
    [{ server: null }, 'stopped'],
  ];
  for (const [change, state] of cases)
    expect(patroniState(standbyState(change)), JSON.stringify(Object.keys(change))).toBe(state);
});

describe('/cluster', () => {
  test('of the leader knows how far everybody is', () => {
    expect(clusterView(leaderState(), viewOf(leaderState()))).toEqual({
      members: [
        {
          name: 'n1',
          role: 'leader',
          state: 'running',
          api_url: 'https://10.0.0.1:5533/patroni',
          host: '10.0.0.1',
          port: 5433,
          timeline: 3,
        },
        expect.objectContaining({
          name: 'n2',
          role: 'quorum_standby',
          state: 'streaming',
          lag: 0,
          receive_lag: 0,
          replay_lag: 1000,
        }),
        expect.objectContaining({ name: 'n3', role: 'quorum_standby', lag: 2000, replay_lag: 2000 }),
      ],
      scope: 'herd',
    });
  });

  test('of a standby knows how far itself is', () => {
    const { members } = clusterView(standbyState(), viewOf(standbyState())) as { members: { lag?: unknown }[] };
    expect(members.map((member) => member.lag)).toEqual([undefined, 500, 'unknown']);
  });
});

test('/history has a line for each timeline that ended', () => {
  const entry = (epoch: number, member: string, timeline: number, ends: readonly bigint[]): HistoryEntry => ({
    epoch,
    member,
    timeline,
    lineage: ends.map((end, index) => ({ timeline: index + 1, end })),
    cause: epoch === 1 ? 'bootstrap' : 'failover',
    at: `2026-11-21T09:00:0${epoch}.000Z`,
    evidence: {},
  });
  const again = { ...entry(3, 'n2', 2, [100n]), cause: 'reclaim' as const };
  const all = [entry(4, 'n3', 3, [100n, 200n]), again, entry(1, 'n1', 1, []), entry(2, 'n2', 2, [100n])];
  expect(historyView(all)).toEqual([
    [1, 100, 'failover', '2026-11-21T09:00:02.000Z', 'n2'],
    [2, 200, 'failover', '2026-11-21T09:00:04.000Z', 'n3'],
  ]);
});

describe('/metrics', () => {
  const linesOf = (state: HaState, pendingRestart?: readonly string[]) =>
    renderMetrics(state, viewOf(state), { ...EXTRAS, pendingRestart })
      .trimEnd()
      .split('\n');

  test('have Patroni’s names, each with its help and type', () => {
    const lines = linesOf(leaderState());
    const named = lines.filter((line) => line.startsWith('# TYPE patroni_')).map((line) => line.split(' ')[2]);
    expect(named).toEqual(
      'version postgres_running postmaster_start_time primary xlog_location standby_leader replica sync_standby quorum_standby xlog_received_location xlog_replayed_location xlog_replayed_timestamp xlog_paused postgres_streaming postgres_in_archive_recovery postgres_server_version cluster_unlocked failsafe_mode_is_active postgres_timeline dcs_last_seen pending_restart is_paused postgres_state failover_priority'
        .split(' ')
        .map((name) => `patroni_${name}`),
    );
    for (const name of lines.filter((line) => line.startsWith('# TYPE ')).map((line) => line.split(' ')[2]))
      expect(lines.filter((line) => line.startsWith(`# HELP ${name} `))).toHaveLength(1);
  });

  test('of a leader, and of one that is fenced', () => {
    const lines = linesOf(leaderState(), ['max_connections']);
    const of = (name: string, labels = '') => `${name}{scope="herd",name="n1"${labels}}`;
    expect(lines).toEqual(
      expect.arrayContaining([
        `${of('patroni_version')} 40104`,
        `${of('patroni_primary')} 1`,
        `${of('patroni_xlog_location')} 5000`,
        `${of('patroni_postgres_state')} 5`,
        `${of('patroni_pending_restart')} 1`,
        `${of('patroni_dcs_last_seen')} ${Date.UTC(2026, 10, 21, 9, 0, 1) / 1000}`,
        `${of('matriarch_epoch')} 7`,
        `${of('matriarch_sync_set_size')} 2`,
        `${of('matriarch_sync_required')} 1`,
        `${of('matriarch_durability_degraded')} 0`,
        `${of('matriarch_follower_replay_lag_bytes', ',follower="n3_c"')} 2000`,
      ]),
    );
    expect(linesOf(leaderState({}, { fenced: true }))).toContain(`${of('patroni_primary')} 0`);
  });

  test('of a standby: a lag that nobody can say has no sample', () => {
    expect(linesOf(standbyState())).toContain('matriarch_replay_lag_bytes{scope="herd",name="n2"} 1000');
    const silent = linesOf(standbyState({}, NOW - 60_000));
    expect(silent.filter((line) => line.startsWith('matriarch_replay_lag_bytes{'))).toEqual([]);
    expect(silent).toContain('patroni_cluster_unlocked{scope="herd",name="n2"} 1');
  });
});
