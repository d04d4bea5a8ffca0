import { pinReasons } from '#core/pool/pins.ts';
import type { ClientSession } from './client-session.ts';
import { ProxyStats, tally } from './proxy-stats.ts';
import type { ProxyWorld } from './proxy-world.ts';
import type { Reception } from './reception.ts';

/** What the parts of the data path have counted, put together when somebody asks. */
export function collectStats(world: ProxyWorld, reception: Reception): ProxyStats {
  const stats = new ProxyStats();
  stats.clients.total = reception.total;
  for (const [reason, count] of reception.refused) tally(stats.clients.refused, reason, count);
  for (const pool of world.pools.values()) {
    const of = stats.pool(pool.database, pool.role);
    of.waiting = pool.waiting.size;
    of.transactions = pool.stats.transactions;
    of.queries = pool.stats.statements;
    of.connects = pool.stats.connects;
    of.failedConnects = pool.stats.failedConnects;
    of.statements.known = pool.statements.size;
    for (const server of pool.servers) of.statements.held += server.prepared.size;
    of.servers.idle = pool.idle;
    of.servers.active = pool.servers.size - pool.idle;
    of.servers.connecting = pool.connecting;
    for (const [reason, count] of pool.stats.pinned) tally(of.pinnedStatements, reason, count);
    for (const session of pool.sessions) countSession(stats, session, (reason) => tally(of.pinned, reason));
    stats.probes += pool.stats.probes;
    stats.handOvers += pool.stats.handOvers;
    stats.lostTransactions += pool.stats.lostTransactions;
    stats.retriedReads += pool.stats.retriedReads;
    stats.unknownOutcomes += pool.stats.unknownOutcomes;
    stats.joinedReads += pool.stats.joinedReads;
    stats.hedgedReads += pool.stats.hedgedReads;
    for (const [group, count] of pool.stats.errors) tally(stats.errors, group, count);
    stats.bytes.fromClients += pool.stats.bytesFromClients;
    for (const server of pool.servers) stats.bytes.toClients += server.bytesIn;
    stats.prepared.hits += pool.stats.preparedHits;
    stats.prepared.misses += pool.stats.preparedMisses;
  }
  stats.cancels.forwarded = world.cancelsForwarded;
  stats.cancels.dropped = world.cancelsDropped;
  if (world.isHolding) stats.held.now = stats.clients.waiting;
  Object.assign(stats.latency, world.latency);
  stats.bytes.toClients += world.bytesToClients;
  return stats;
}

function countSession(stats: ProxyStats, session: ClientSession, pinned: (reason: string) => void): void {
  stats.clients.connected += 1;
  if (session.waitingSince !== 0) stats.clients.waiting += 1;
  else if (session.server !== null || session.reads.convoy !== null) stats.clients.active += 1;
  else stats.clients.idle += 1;
  for (const reason of pinReasons(session.pins)) pinned(reason);
}
