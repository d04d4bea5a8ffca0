import type { HaState } from '#core/ha/state.ts';
import { VERSION } from '#programs/cli/version.ts';
import { lagOf } from './health-paths.ts';
import { PATRONI_STATES } from './patroni-state.ts';
import { type PatroniExtras, SPOKEN_VERSION } from './patroni-status.ts';
import type { PatroniView } from './patroni-view.ts';

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** The answer to `GET /metrics`: Patroni's names first, then ours. Prometheus' text format 0.0.4. */
export function renderMetrics(state: HaState, view: PatroniView, extras: PatroniExtras): string {
  const own = { scope: view.scope, name: view.name };
  return [...patroniMetrics(view, extras), ...matriarchMetrics(state, view)]
    .flatMap(({ name, type, help, samples }) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...samples.map(({ labels, value }) => `${name}${labelsOf({ ...own, ...labels })} ${value}`),
    ])
    .join('\n')
    .concat('\n');
}

/** Names and values hold nothing but letters, digits, dashes and underscores: nothing to escape. */
function labelsOf(labels: Readonly<Record<string, string>>): string {
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')}}`;
}

function metric(name: string, help: string, value: number | boolean | null, type: Metric['type'] = 'gauge'): Metric {
  return { name, type, help, samples: value === null ? [] : [{ value: Number(value) }] };
}

/** 0 stands for what is not known or does not apply, as dashboards expect it. */
function patroniMetrics(view: PatroniView, extras: PatroniExtras): readonly Metric[] {
  const { notes } = view;
  const version = Number(SPOKEN_VERSION.split('.').reduce((text, part) => text + part.padStart(2, '0'), ''));
  const seconds = (ms: number | null | undefined) => (ms ?? 0) / 1000;
  return [
    metric('patroni_version', 'The release of Patroni that is spoken, without periods.', version),
    metric('patroni_postgres_running', '1 if PostgreSQL runs.', view.state === 'running'),
    metric('patroni_postmaster_start_time', 'When PostgreSQL was started, in seconds since 1970.', seconds(notes?.startedAtMs)),
    metric('patroni_primary', '1 if this member holds the lead.', view.leads),
    metric('patroni_xlog_location', 'Where the log of the primary ends, in bytes.', Number(view.location ?? 0), 'counter'),
    metric('patroni_standby_leader', '1 if this member leads a standby cluster: never.', 0),
    metric('patroni_replica', '1 if this member is a running standby.', view.replica),
    metric('patroni_sync_standby', '1 if every commit waits for this member.', view.sync === 'all'),
    metric('patroni_quorum_standby', '1 if this member is one of those of whom some confirm.', view.sync === 'quorum'),
    metric('patroni_xlog_received_location', 'How far a standby has received.', Number(view.received ?? 0), 'counter'),
    metric('patroni_xlog_replayed_location', 'How far a standby has replayed.', Number(view.replayed ?? 0), 'counter'),
    metric('patroni_xlog_replayed_timestamp', 'The last commit replayed, in seconds since 1970.', seconds(notes?.replayedAtMs)),
    metric('patroni_xlog_paused', '1 if replay is paused.', notes?.replayPaused ?? false),
    metric('patroni_postgres_streaming', '1 if this standby streams.', view.streaming),
    metric('patroni_postgres_in_archive_recovery', '1 if a standby reads an archive: never.', 0),
    metric('patroni_postgres_server_version', 'server_version_num of PostgreSQL.', notes?.version ?? 0),
    metric('patroni_cluster_unlocked', '1 if nobody is known to lead.', view.unlocked),
    metric('patroni_failsafe_mode_is_active', '0: a healthy cluster needs no store, and so no mode for its loss.', 0),
    metric('patroni_postgres_timeline', 'The timeline of PostgreSQL.', view.timeline ?? 0, 'counter'),
    metric(
      'patroni_dcs_last_seen',
      'When the store last answered, in seconds since 1970.',
      Math.floor(seconds(extras.storeSeenAtMs)),
    ),
    metric('patroni_pending_restart', '1 if a parameter waits for a restart.', (extras.pendingRestart?.length ?? 0) > 0),
    metric('patroni_is_paused', '1 if there is no automatic failover.', view.paused),
    metric('patroni_postgres_state', stateHelp(), (PATRONI_STATES as readonly string[]).indexOf(view.state)),
    metric('patroni_failover_priority', 'The priority of this member.', view.tags.nofailover ? 0 : view.tags.priority),
  ];
}

function stateHelp(): string {
  return `What PostgreSQL does: ${PATRONI_STATES.map((state, index) => `${index} ${state}`).join(', ')}; -1 it does not answer.`;
}

/** What is not known has no sample. */
function matriarchMetrics(state: HaState, view: PatroniView): readonly Metric[] {
  const record = state.record?.value ?? null;
  const { server } = state;
  const followers = server?.state === 'primary' ? server.followers : [];
  const end = view.location ?? 0n;
  const lag = (position: bigint) => (end > position ? Number(end - position) : 0);
  return [
    {
      ...metric('matriarch_version', 'The release of Matriarch, as a label.', 1),
      samples: [{ labels: { version: VERSION }, value: 1 }],
    },
    metric('matriarch_epoch', 'The epoch of the leader record.', record?.epoch ?? null, 'counter'),
    metric('matriarch_promise', 'The highest epoch that this member has promised.', state.promise, 'counter'),
    metric('matriarch_sync_set_size', 'How many standbys may confirm a commit (S).', record?.sync.length ?? null),
    metric('matriarch_sync_required', 'How many of them have to (k); 0: nobody is waited for.', record?.k ?? null),
    metric('matriarch_durability_degraded', '1 while the leader goes on alone.', record && record.degradedSince !== undefined),
    metric('matriarch_guard_alive', '1 while a guard holds the deadline of this member.', state.guardAlive),
    metric(
      'matriarch_receive_lag_bytes',
      'What this standby has not received.',
      view.replica ? (lagOf(view, 'write') ?? null) : null,
    ),
    metric(
      'matriarch_replay_lag_bytes',
      'What this standby does not show.',
      view.replica ? (lagOf(view, 'apply') ?? null) : null,
    ),
    {
      name: 'matriarch_follower_flush_lag_bytes',
      type: 'gauge',
      help: 'On the primary: what a standby has not on disk.',
      samples: followers.map(({ incarnation, flushed }) => ({ labels: { follower: incarnation }, value: lag(flushed) })),
    },
    {
      name: 'matriarch_follower_replay_lag_bytes',
      type: 'gauge',
      help: 'On the primary: what a standby does not show.',
      samples: followers.map(({ incarnation, replayed }) => ({ labels: { follower: incarnation }, value: lag(replayed) })),
    },
  ];
}
