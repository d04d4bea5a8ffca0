import { relate } from '#core/ha/divergence.ts';
import { holdsLead } from '#core/ha/holds-lead.ts';
import type { HaState } from '#core/ha/state.ts';
import type { Tags } from '#domain/member.ts';
import type { ServerNotes, ServerView } from '#domain/server.ts';
import { type PatroniState, patroniState } from './patroni-state.ts';

/** `quorum`: some of the sync set confirm each commit. `all`: every one of it does. */
export type SyncPart = 'none' | 'quorum' | 'all';

/** What an agent knows, in the terms that Patroni's answers are made of. */
export interface PatroniView {
  readonly scope: string;
  readonly name: string;
  readonly state: PatroniState;
  readonly role: 'primary' | 'replica' | 'uninitialized';
  /** It leads, lets clients in, and its proof of leadership is fresh: Patroni's leader lock. */
  readonly leads: boolean;
  /** A running standby that is on its way to nothing else. */
  readonly replica: boolean;
  readonly streaming: boolean;
  readonly sync: SyncPart;
  readonly timeline: number | null;
  /** Of a primary: where its log ends. */
  readonly location: bigint | null;
  readonly received: bigint | null;
  readonly replayed: bigint | null;
  /** Where the log of the leader ends, as last heard; null when that is too long ago, or this log has parted from it. */
  readonly leaderLocation: bigint | null;
  readonly notes: ServerNotes | null;
  readonly tags: Tags;
  readonly paused: boolean;
  /** Nobody is known to lead. */
  readonly unlocked: boolean;
  readonly systemIdentifier: string | null;
  /** Since the decisions were last gone through. */
  readonly loopSilentMs: number;
  readonly leaseMs: number;
  readonly maximumLagOnFailoverBytes: number;
}

type Live = Extract<ServerView, { state: 'primary' | 'standby' }>;

export function patroniView(state: HaState, now: number, scope: string): PatroniView {
  const { server, config, self } = state;
  const live = server?.state === 'primary' || server?.state === 'standby' ? server : null;
  const standby = live?.state === 'standby' ? live : null;
  const runs = patroniState(state);
  const leads = holdsLead(state, now);
  // Between two looks only what was published last tells.
  const follows = standby !== null || (server === null && isStandbyByName(state));
  const replica = follows && runs === 'running' && state.role.kind !== 'leader';
  return {
    scope,
    name: self.name,
    state: runs,
    role: roleOf(state, leads),
    leads,
    replica,
    streaming: replica && (standby?.streaming ?? state.published?.state === 'streaming'),
    sync: replica ? syncPart(state) : 'none',
    timeline: live?.position.timeline ?? null,
    location: live?.state === 'primary' ? live.position.lsn : null,
    received: standby?.position.lsn ?? null,
    replayed: standby?.replayed ?? null,
    leaderLocation: leaderLocation(state, live, now),
    notes: live?.notes ?? null,
    tags: self.tags,
    paused: config.paused,
    unlocked: !leads && now - leaderHeardAt(state) > config.timings.leaseMs,
    systemIdentifier: state.identity?.systemIdentifier ?? null,
    loopSilentMs: now - state.steppedAt,
    leaseMs: config.timings.leaseMs,
    maximumLagOnFailoverBytes: config.maximumLagOnFailoverBytes,
  };
}

function isStandbyByName({ published }: HaState): boolean {
  return published?.state === 'streaming' || published?.state === 'standby';
}

function roleOf({ server, role }: HaState, leads: boolean): PatroniView['role'] {
  if (server?.state === 'primary' || leads) return 'primary';
  if (server?.state === 'absent') return 'uninitialized';
  if (server === null && role.kind === 'leader') return 'primary';
  return 'replica';
}

function syncPart({ record, incarnation }: HaState): SyncPart {
  const set = record?.value;
  if (set == null || set.k < 1 || !set.sync.includes(incarnation)) return 'none';
  return set.k >= set.sync.length ? 'all' : 'quorum';
}

/** Of the leader that the record names: others may still believe that they lead. */
export function leaderHeardAt({ leaderSeen, record }: HaState): number {
  const known = record?.value;
  if (leaderSeen === null || known == null || leaderSeen.member !== known.member) return -Infinity;
  return leaderSeen.at;
}

function leaderLocation(state: HaState, live: Live | null, now: number): bigint | null {
  if (live === null) return null;
  const own = live.position;
  if (live.state === 'primary') return own.lsn;
  if (state.leaderSeen === null || now - leaderHeardAt(state) > state.config.timings.leaseMs) return null;
  const { heartbeat } = state.leaderSeen;
  const { position } = heartbeat;
  // A leader that does not know its own position for a moment says nothing; what has come from it is known.
  if (position.timeline === 0) return own.lsn;
  // Bytes of a log that has parted from the leader's compare with nothing.
  if (relate(live, heartbeat).kind !== 'follows') return null;
  const furthest = position.lsn > own.lsn ? position : own;
  return furthest.lsn;
}
