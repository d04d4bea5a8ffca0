import { performance } from 'node:perf_hooks';
import type { Lsn } from '#domain/lsn.ts';
import { comparePositions, type Lineage, type Position } from '#domain/position.ts';
import type { Follower, ServerNotes, ServerView } from '#domain/server.ts';
import { isGateOpen } from './access-file.ts';
import type { Freshness } from './freshness.ts';
import type { Look, Sender } from './live-query.ts';
import { readIfThere } from './owned-files.ts';
import type { ServerContext } from './server-context.ts';
import { PROTECTED_PARAMETERS } from './server-settings.ts';
import type { Session } from './session.ts';
import { settingNames } from './settings-file.ts';
import { lineageOf, timelineBefore } from './timeline-history.ts';
import { withoutPageHeader } from './wal-layout.ts';

export interface Whereabouts {
  readonly position: Position;
  readonly lineage: Lineage;
}

/**
 * Where a running standby's WAL ends: the greater of receive and replay. The timeline is the one on which the last byte was written:
 * the walreceiver starts a new timeline at the beginning of a segment, so for a while it has less of it than what was replayed.
 * `startedAt` counts until WAL is received, since after a start the server knows only what it has replayed.
 */
export async function whereaboutsOf(
  look: Look,
  context: ServerContext,
  session: Session,
  timeoutMs: number,
): Promise<Whereabouts> {
  const { histories, memory } = context;
  const { startedAt } = memory;
  const lineage = (await histories.lineage(look.walTimeline, session, timeoutMs)) ?? [];
  const lsn: Lsn = look.received !== null && look.received > look.replayed ? look.received : look.replayed;
  const timeline = timelineBefore(lsn, look.walTimeline, lineage);
  const position = { timeline, lsn };
  if (look.received === null && startedAt !== undefined && comparePositions(startedAt, position) > 0) {
    return { position: startedAt, lineage: lineageOf(startedAt.timeline, lineage) };
  }
  return { position, lineage: lineageOf(timeline, lineage) };
}

export async function standbyView(
  look: Look,
  freshness: Freshness,
  context: ServerContext,
  session: Session,
  timeoutMs: number,
): Promise<ServerView> {
  const { position, lineage } = await whereaboutsOf(look, context, session, timeoutMs);
  const streaming = look.receiver?.status === 'streaming';
  const now = performance.now();
  const silentMs =
    look.receiver === null || !streaming
      ? Number.POSITIVE_INFINITY
      : freshness.ageMs('upstream', look.receiver.heardAt, look.receiver.silentMs, now);
  if (!streaming) freshness.keep(new Set());
  const stalled = stallOf(look);
  return {
    state: 'standby',
    position,
    replayed: look.replayed,
    lineage,
    streaming,
    upstreamSilentMs: silentMs,
    ...(stalled === undefined ? {} : { stalled }),
    notes: notesOf(look),
  };
}

/** H11: why replay does not advance. */
function stallOf(look: Look): string | undefined {
  if (look.pause === 'paused') return 'replay is paused';
  if (look.startupWait === 'RecoveryApplyDelay') return 'replay is delayed (recovery_min_apply_delay)';
  const behind = look.received !== null && look.received > look.replayed;
  if (behind && (look.startupWait.startsWith('RecoveryConflict') || look.startupWait === 'BufferPin')) {
    return 'replay waits for a query on this standby';
  }
  return undefined;
}

export async function primaryView(
  look: Look,
  freshness: Freshness,
  context: ServerContext,
  session: Session,
  timeoutMs: number,
): Promise<ServerView> {
  const lineage = look.timeline === 1 ? [] : ((await context.histories.lineage(look.timeline, session, timeoutMs)) ?? []);
  const altered = settingNames(look.altered).some((name) => PROTECTED_PARAMETERS.has(name));
  const rules = (await readIfThere(context.layout.accessFile)) ?? '';
  return {
    state: 'primary',
    position: { timeline: look.timeline, lsn: withoutPageHeader(look.insert, context.memory.walSizes) },
    lineage,
    followers: followersOf(look.senders, freshness, context.log),
    setting: altered ? 'foreign' : (await context.role.read()).sync,
    gateOpen: isGateOpen(rules),
    notes: notesOf(look),
  };
}

function notesOf(look: Look): ServerNotes {
  const { version, maxConnections, reservedConnections, startedAtMs, replayedAtMs, pause, senders } = look;
  return {
    version,
    maxConnections,
    reservedConnections,
    startedAtMs,
    replayedAtMs,
    replayPaused: pause === 'paused',
    senders: senders.map(({ user, name, address, state, syncState, syncPriority }) => ({
      user,
      application: name,
      address,
      state,
      syncState,
      syncPriority,
    })),
  };
}

/**
 * One row a name. PostgreSQL counts every connection of a name, whatever its case, so while there are two, neither vouches for
 * anything: the name does not stream.
 */
function followersOf(senders: readonly Sender[], freshness: Freshness, log: (line: string) => void): readonly Follower[] {
  const now = performance.now();
  const rows = new Map<string, Sender[]>();
  for (const sender of senders) {
    const name = sender.name.toLowerCase();
    rows.set(name, [...(rows.get(name) ?? []), sender]);
  }
  freshness.keep(new Set(senders.map((sender) => String(sender.pid))));
  return [...rows].map(([incarnation, [first, ...others]]) => {
    const ages = [first, ...others].map((row) =>
      row === undefined ? 0 : freshness.ageMs(String(row.pid), row.repliedAt, 0, now),
    );
    if (others.length > 0) log(`${others.length + 1} connections stream as ${incarnation}: none of them counts`);
    return {
      incarnation,
      streaming: others.length === 0 && first?.state === 'streaming' && first.flushed !== null,
      flushed: others.length === 0 ? (first?.flushed ?? 0n) : 0n,
      replayed: others.length === 0 ? (first?.replayed ?? 0n) : 0n,
      silentMs: Math.max(...ages),
    };
  });
}
