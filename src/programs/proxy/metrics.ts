import { performance } from 'node:perf_hooks';
import type { LatencyHistogram } from '#core/pool/latency-histogram.ts';
import { VERSION } from '#programs/cli/version.ts';
import type { PoolStats, ProxyStats, Tally } from './proxy-stats.ts';

/** What a scrape looks at. */
export interface ProxySight {
  readonly stats: ProxyStats;
  readonly hasPrimary: boolean;
  readonly epoch: number;
  readonly draining: boolean;
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Numbers {
  readonly name: string;
  readonly kind: 'gauge' | 'counter';
  readonly help: string;
  readonly labels: readonly string[];
  readonly samples: (sight: ProxySight) => readonly Sample[];
}

interface Durations {
  readonly name: string;
  readonly kind: 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly histogram: (sight: ProxySight) => LatencyHistogram;
}

export type MetricDefinition = Numbers | Durations;

const P = 'matriarch_proxy';

function one(kind: Numbers['kind'], name: string, help: string, value: (sight: ProxySight) => number | boolean): Numbers {
  return { name, kind, help, labels: [], samples: (sight) => [{ labels: {}, value: Number(value(sight)) }] };
}

/** One sample for each of the labels that `values` names. */
function each(
  kind: Numbers['kind'],
  name: string,
  help: string,
  label: string,
  values: (sight: ProxySight) => Iterable<readonly [string, number]>,
): Numbers {
  const samples = (sight: ProxySight) => [...values(sight)].map(([key, value]) => ({ labels: { [label]: key }, value }));
  return { name, kind, help, labels: [label], samples };
}

function perPool(kind: Numbers['kind'], name: string, help: string, value: (pool: PoolStats) => number): Numbers {
  const samples = ({ stats }: ProxySight) =>
    [...stats.pools.values()].map((pool) => ({ labels: { database: pool.database, role: pool.role }, value: value(pool) }));
  return { name, kind, help, labels: ['database', 'role'], samples };
}

function perPoolAnd(
  kind: Numbers['kind'],
  name: string,
  help: string,
  label: string,
  values: (pool: PoolStats) => Iterable<readonly [string, number]>,
): Numbers {
  const samples = ({ stats }: ProxySight) =>
    [...stats.pools.values()].flatMap((pool) =>
      [...values(pool)].map(([key, value]) => ({ labels: { database: pool.database, role: pool.role, [label]: key }, value })),
    );
  return { name, kind, help, labels: ['database', 'role', label], samples };
}

function duration(name: string, help: string, histogram: (stats: ProxyStats) => LatencyHistogram): Durations {
  return { name, kind: 'histogram', help, labels: [], histogram: ({ stats }) => histogram(stats) };
}

const sum = (counts: Tally) => [...counts.values()].reduce((total, count) => total + count, 0);

/** Every metric of a proxy. The reference is generated from these. */
export const METRICS: readonly MetricDefinition[] = [
  each('gauge', `${P}_version`, 'The release of Matriarch, as a label.', 'version', () => [[VERSION, 1]]),
  one('gauge', `${P}_has_primary`, '1 while a primary is known.', ({ hasPrimary }) => hasPrimary),
  one('counter', `${P}_epoch`, 'Grows with every new primary.', ({ epoch }) => epoch),
  one('gauge', `${P}_draining`, '1 from the first SIGTERM on.', ({ draining }) => draining),
  each('gauge', `${P}_clients`, 'Clients that are logged in, by what they do.', 'state', ({ stats: { clients } }) => [
    ['active', clients.active],
    ['waiting', clients.waiting],
    ['idle', clients.idle],
  ]),
  one('counter', `${P}_clients_total`, 'Connections that were accepted.', ({ stats }) => stats.clients.total),
  each(
    'counter',
    `${P}_refused_total`,
    'Clients that were not let in, by reason.',
    'reason',
    ({ stats }) => stats.clients.refused,
  ),
  perPoolAnd('gauge', `${P}_servers`, 'Server connections.', 'state', ({ servers, pinned }) => [
    ['active', servers.active],
    ['idle', servers.idle],
    ['connecting', servers.connecting],
    ['pinned', sum(pinned)],
  ]),
  perPoolAnd(
    'gauge',
    `${P}_pinned`,
    'Server connections that are tied to one client, by reason.',
    'reason',
    ({ pinned }) => pinned,
  ),
  perPoolAnd(
    'counter',
    `${P}_pinned_statements_total`,
    'Statements that ran on a pinned connection.',
    'reason',
    (pool) => pool.pinnedStatements,
  ),
  perPool('gauge', `${P}_waiting`, 'Clients that wait for a server connection.', (pool) => pool.waiting),
  perPool('counter', `${P}_connects_total`, 'Server connections that were opened.', (pool) => pool.connects),
  perPool('counter', `${P}_failed_connects_total`, 'Server connections that did not come about.', (pool) => pool.failedConnects),
  perPool('counter', `${P}_transactions_total`, 'Transactions, single statements included.', (pool) => pool.transactions),
  perPool('counter', `${P}_queries_total`, 'Queries.', (pool) => pool.queries),
  each('counter', `${P}_errors_total`, 'Errors that clients got, by SQLSTATE class.', 'class', ({ stats }) => stats.errors),
  each('counter', `${P}_bytes_total`, 'Bytes from and to clients.', 'direction', ({ stats: { bytes } }) => [
    ['in', bytes.fromClients],
    ['out', bytes.toClients],
  ]),
  each(
    'counter',
    `${P}_prepared_total`,
    'Uses of prepared statements: `hit` was there on the server connection, `miss` had to be prepared.',
    'result',
    ({ stats: { prepared } }) => [
      ['hit', prepared.hits],
      ['miss', prepared.misses],
    ],
  ),
  perPoolAnd(
    'gauge',
    `${P}_prepared_statements`,
    'Prepared statements: `held` by the server connections, `known` by their texts.',
    'state',
    ({ statements }) => [
      ['held', statements.held],
      ['known', statements.known],
    ],
  ),
  one('counter', `${P}_probes_total`, 'Looks for state that user code may have left behind.', ({ stats }) => stats.probes),
  one(
    'counter',
    `${P}_hand_overs_total`,
    'Server connections that were given the state of a session before its next transaction.',
    ({ stats }) => stats.handOvers,
  ),
  each('counter', `${P}_cancels_total`, 'Requests to cancel.', 'result', ({ stats: { cancels } }) => [
    ['forwarded', cancels.forwarded],
    ['dropped', cancels.dropped],
  ]),
  one(
    'counter',
    `${P}_lost_transactions_total`,
    'Open transactions that ended with their server.',
    ({ stats }) => stats.lostTransactions,
  ),
  one(
    'counter',
    `${P}_unknown_outcomes_total`,
    'Writes whose answer was lost with their server: 08007.',
    ({ stats }) => stats.unknownOutcomes,
  ),
  one(
    'counter',
    `${P}_retried_reads_total`,
    'Reads that were sent once more, unnoticed by their client.',
    ({ stats }) => stats.retriedReads,
  ),
  one(
    'counter',
    `${P}_joined_reads_total`,
    'Reads that were sent behind those of other clients on a server connection.',
    ({ stats }) => stats.joinedReads,
  ),
  one(
    'counter',
    `${P}_hedged_reads_total`,
    'Of these, those that waited for so long that another connection was looked for as well.',
    ({ stats }) => stats.hedgedReads,
  ),
  one(
    'gauge',
    `${P}_held`,
    'Clients whose work is held at this moment because there is no primary.',
    ({ stats }) => stats.held.now,
  ),
  one('counter', `${P}_held_total`, 'How often work was held.', ({ stats }) => stats.held.total),
  duration(`${P}_wait_seconds`, 'How long transactions waited for a server connection.', ({ latency }) => latency.wait),
  duration(`${P}_transaction_seconds`, 'How long transactions lasted.', ({ latency }) => latency.transaction),
  duration(`${P}_query_seconds`, 'How long queries took, as seen by the proxy.', ({ latency }) => latency.query),
  duration(`${P}_hand_over_seconds`, 'How long it took to give a session its state back.', ({ latency }) => latency.handOver),
  one(
    'counter',
    `${P}_event_loop_active_seconds_total`,
    'Time that the one thread of the proxy was busy. A rate near 1: it is full.',
    () => performance.eventLoopUtilization().active / 1000,
  ),
  one(
    'counter',
    'process_cpu_seconds_total',
    'Processor time, of user and system.',
    () => (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
  ),
  one('gauge', 'process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss()),
  one('gauge', 'process_start_time_seconds', 'When the proxy started, in seconds since 1970.', () =>
    Math.round(performance.timeOrigin / 1000),
  ),
];
