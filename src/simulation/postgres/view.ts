import { parseLsn } from '#domain/lsn.ts';
import { NOWHERE, type Position } from '#domain/position.ts';
import type { Follower, ServerView } from '#domain/server.ts';
import type { DataDirectory } from '../data-directory.ts';
import { tip, type WalRecord } from '../wal.ts';
import type { VirtualServer } from './server.ts';
import type { ReplicationConnection } from './walsender.ts';

const ZERO = parseLsn('0/0') ?? NOWHERE.lsn;

/** What an agent sees when it looks at the server in the ways that PostgreSQL offers. */
export function viewOf(server: VirtualServer | null, directory: DataDirectory | null): ServerView {
  if (server === null || !server.runs) return directory === null ? { state: 'absent' } : stoppedView(directory);
  if (server.process.paused) return { state: 'stuck', why: 'it does not answer' };
  if (server.volume.hung) return { state: 'stuck', why: 'its disk does not answer' };
  if (!server.up) return { state: 'starting' };
  return server.role === 'primary' ? primaryView(server) : standbyView(server);
}

function stoppedView(directory: DataDirectory): ServerView {
  const end = tip(directory.log);
  return {
    state: 'stopped',
    position: end.position,
    lineage: end.lineage,
    clean: directory.clean,
    wasPrimary: !directory.standbySignal,
    redoBytes: directory.redoBytes,
  };
}

function standbyView(server: VirtualServer): ServerView {
  const { directory, walreceiver, world } = server;
  const replayed = directory.log[server.replayed - 1] ?? tip(directory.log);
  const known = standbyPosition(server);
  return {
    state: 'standby',
    position: known.position,
    replayed: replayed.position.lsn,
    lineage: known.lineage,
    streaming: walreceiver !== null,
    upstreamSilentMs: walreceiver === null ? Number.POSITIVE_INFINITY : world.scheduler.now - walreceiver.heardAt,
    ...(server.replayStalled ? { stalled: 'replay is paused' } : {}),
  };
}

/** The greater of receive and replay; receive is unknown before the first WAL after a start. */
export function standbyPosition(server: VirtualServer): WalRecord {
  const { directory } = server;
  const count = server.receivedSinceStart ? directory.flushed : server.replayed;
  return directory.log[Math.max(count, 1) - 1] ?? tip(directory.log);
}

export function positionOf(server: VirtualServer | null, directory: DataDirectory | null): Position {
  if (directory === null) return NOWHERE;
  if (server === null || !server.runs || server.role === 'primary') return tip(directory.log).position;
  return standbyPosition(server).position;
}

function primaryView(server: VirtualServer): ServerView {
  const end = tip(server.directory.log);
  return {
    state: 'primary',
    position: end.position,
    lineage: end.lineage,
    followers: [...server.connections].map((connection) => followerView(server, connection)),
    setting: server.directory.foreignSetting ? 'foreign' : server.directory.setting,
    gateOpen: server.gateOpen,
  };
}

function followerView(server: VirtualServer, connection: ReplicationConnection): Follower {
  return {
    incarnation: connection.name,
    streaming: connection.caughtUpOnce,
    flushed: connection.flushed === 0 ? ZERO : BigInt(connection.flushed),
    replayed: BigInt(connection.replayed),
    silentMs: server.world.scheduler.now - connection.repliedAt,
  };
}
