import { VERSION } from '#programs/cli/version.ts';
import type { PatroniView } from './patroni-view.ts';
import { shownTags } from './tag-names.ts';

/** The release of Patroni whose answers these are: tools choose by it what they look for. */
export const SPOKEN_VERSION = '4.1.4';

/** What is known beside the view, and only where it was asked for. */
export interface PatroniExtras {
  /** When the store last answered, in milliseconds since 1970. */
  readonly storeSeenAtMs: number | null;
  /** The parameters that only a restart brings into force; undefined when the server could not be asked. */
  readonly pendingRestart?: readonly string[] | undefined;
}

/** The answer to `GET /patroni` and to every health check. A value that is not known is left out. */
export function patroniStatus(view: PatroniView, extras: PatroniExtras): Readonly<Record<string, unknown>> {
  const { notes, scope, name } = view;
  const tags = shownTags(view.tags);
  const waiting = extras.pendingRestart?.length ?? 0;
  return {
    state: view.state,
    ...(notes === null ? {} : { postmaster_start_time: timestamp(notes.startedAtMs) }),
    role: view.role,
    ...(notes === null ? {} : { server_version: notes.version }),
    ...xlogOf(view),
    ...(view.timeline === null ? {} : { timeline: view.timeline }),
    ...(view.streaming ? { replication_state: 'streaming' } : {}),
    ...(view.sync === 'all' ? { sync_standby: true } : view.sync === 'quorum' ? { quorum_standby: true } : {}),
    ...replicationOf(view),
    ...(view.unlocked ? { cluster_unlocked: true } : {}),
    ...(view.paused ? { pause: true } : {}),
    ...(extras.storeSeenAtMs === null ? {} : { dcs_last_seen: Math.floor(extras.storeSeenAtMs / 1000) }),
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
    ...(view.systemIdentifier === null ? {} : { database_system_identifier: view.systemIdentifier }),
    ...(waiting === 0 ? {} : { pending_restart: true }),
    patroni: { version: SPOKEN_VERSION, scope, name },
    matriarch: { version: VERSION },
  };
}

function xlogOf({ location, received, replayed, notes }: PatroniView) {
  if (location !== null) return { xlog: { location: Number(location) } };
  if (received === null || replayed === null) return {};
  const replayedAtMs = notes?.replayedAtMs ?? null;
  return {
    xlog: {
      received_location: Number(received),
      replayed_location: Number(replayed),
      replayed_timestamp: replayedAtMs === null ? null : timestamp(replayedAtMs),
      paused: notes?.replayPaused ?? false,
    },
  };
}

function replicationOf({ notes }: PatroniView) {
  if (notes === null || notes.senders.length === 0) return {};
  const replication = notes.senders.map((sender) => ({
    usename: sender.user,
    application_name: sender.application,
    client_addr: sender.address,
    state: sender.state,
    sync_state: sender.syncState,
    sync_priority: sender.syncPriority,
  }));
  return { replication };
}

/** As Patroni writes it: `2026-11-21 09:00:00.123+00:00`. */
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace('Z', '+00:00');
}
