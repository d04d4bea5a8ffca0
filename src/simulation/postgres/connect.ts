import type { Upstream } from '#domain/server.ts';
import { commonLength, tip } from '../wal.ts';
import type { VirtualServer } from './server.ts';
import { ReplicationConnection } from './walsender.ts';

const CONNECT_TIMEOUT_MS = 800;

/** A walreceiver's way to its upstream: it takes a while, and fails for all the reasons that PostgreSQL has. */
export function connect(standby: VirtualServer, to: Upstream, done: (connection: ReplicationConnection | null) => void): void {
  const { world } = standby;
  const { scheduler, network } = world;
  let settled = false;
  const settle = (connection: ReplicationConnection | null): void => {
    if (settled) return;
    settled = true;
    done(connection);
    connection?.begin();
  };
  const target = world.memberAt(to.host, to.port);
  scheduler.after(CONNECT_TIMEOUT_MS, standby.process, () => settle(null));
  if (target === undefined || !network.joins(standby.node, target.node)) return;
  scheduler.after(2 * network.delayMs() + world.random.between(0.5, 15), standby.process, () => {
    if (settled) return;
    const upstream = target.server;
    if (upstream === null || !upstream.answers || upstream.postmasterStopped || !network.joins(standby.node, target.node))
      return settle(null);
    if (standby.role !== 'standby' || !standby.process.alive) return settle(null);
    settle(accept(upstream, standby, to.name));
  });
}

/** START_REPLICATION on the upstream: slot, one connection a slot, and do the logs join as far as PostgreSQL can see? */
function accept(upstream: VirtualServer, standby: VirtualServer, name: string): ReplicationConnection | null {
  const { world } = upstream;
  const isFetch = standby.fetching;
  if (!isFetch && !upstream.slot(name)) return null;
  const older = [...upstream.connections].find((connection) => connection.name === name);
  if (older !== undefined) {
    // The slot is still held by a connection whose other end is gone: it is ended, and the next attempt gets in.
    for (const connection of [...upstream.connections]) if (connection.name === name) connection.endSender();
    return null;
  }
  // What was received and not flushed is asked for again.
  standby.directory.log.length = standby.directory.flushed;
  const joined = commonLength(upstream.directory.log, standby.directory.log);
  const length = standby.directory.log.length;
  if (joined < length && !looksJoined(upstream, standby)) return null;
  if (joined < length) world.note({ kind: 'blind', standby, upstream });
  if (length < upstream.directory.oldest) return null;
  const next = joined < length ? firstAfter(upstream, tip(standby.directory.log).end) : length;
  if (next > upstream.directory.flushed) return null;
  const connection = new ReplicationConnection(upstream, standby, name, next, joined < length);
  upstream.connections.add(connection);
  if (!isFetch) standby.directory.incarnations.add(name);
  world.note({ kind: 'connected', connection });
  if (world.options.sabotage.duplicateNames && !isFetch) {
    const shadow = new ReplicationConnection(upstream, standby, name, next, true);
    upstream.connections.add(shadow);
    shadow.begin();
  }
  return connection;
}

/** By numbers alone, as PostgreSQL compares: the standby's timeline is the upstream's or an ancestor, and has not gone past its end. */
function looksJoined(upstream: VirtualServer, standby: VirtualServer): boolean {
  const mine = tip(standby.directory.log).position;
  const theirs = tip(upstream.directory.log);
  if (mine.timeline === theirs.position.timeline) return mine.lsn <= theirs.position.lsn;
  const ancestor = theirs.lineage.find((entry) => entry.timeline === mine.timeline);
  return ancestor !== undefined && mine.lsn <= ancestor.end;
}

function firstAfter(upstream: VirtualServer, end: number): number {
  const { log } = upstream.directory;
  const index = log.findIndex((record) => record.end > end);
  return index < 0 ? log.length : index;
}
