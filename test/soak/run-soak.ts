import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '#simulation/random.ts';
import { residentMb } from '../../bench/proxy/idle-clients.ts';
import { clientKeyOf } from '../support/client-key.ts';
import type { Intermediary, IntermediaryName } from '../support/intermediaries/intermediary.ts';
import { startIntermediary } from '../support/intermediaries/start-intermediary.ts';
import { PlainServer } from '../support/plain-server.ts';
import { SoakClient, type SoakWorld } from './soak-client.ts';
import { disturb } from './soak-faults.ts';
import { type Holdings, HoldingsWatch } from './soak-holdings.ts';
import { live } from './soak-life.ts';

export interface SoakOptions {
  readonly through: IntermediaryName;
  readonly seed: number;
  readonly clients: number;
  readonly seconds: number;
  /** Without them every unexpected error is a violation. */
  readonly faults: boolean;
  readonly maxResidentMb: number;
  /** Names of operations to leave out. */
  readonly skip?: readonly string[];
  readonly onProgress?: (text: string) => void;
}

export interface SoakReport {
  readonly seed: number;
  /** By what was done; operations, sessions and faults. */
  readonly counts: Readonly<Record<string, number>>;
  readonly highestMb: number;
  /** What the proxy held, by when; `afterwards` everybody has left. Empty for a proxy without metrics. */
  readonly holdings: Readonly<Record<string, Holdings>>;
  /** The first of each client; empty: all was as it must be. */
  readonly violations: readonly string[];
}

const DATABASE = 'soak';
/** Few, so that what is kept is at its limit before long, and must not grow from then on. */
const PREPARED_PER_SERVER = 30;
const PROGRESS_MS = 10_000;
const MEMORY_MS = 500;

/** Clients that do anything at all, each checking what it sees, while other things go wrong. Ends at the first violation. */
export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const folder = mkdtempSync(join(tmpdir(), 'matriarch-soak-'));
  chmodSync(folder, 0o755);
  let server: PlainServer | undefined;
  let proxy: Intermediary | undefined;
  try {
    // Fewer connections than clients: each server connection is many clients'.
    server = await PlainServer.start(join(folder, 'server'), {
      parameters: { max_connections: String(options.clients * 2 + 60), synchronous_commit: 'off', autovacuum: 'off' },
    });
    const login = await server.addLogin('soaker');
    await server.sql(`CREATE DATABASE ${DATABASE} OWNER soaker`);
    await server.sql(
      `CREATE UNLOGGED TABLE soak (client int, number int, note text, PRIMARY KEY (client, number)); ALTER TABLE soak OWNER TO soaker`,
      DATABASE,
    );
    const { through, clients } = options;
    const own = { server, folder: join(folder, 'proxy'), clients: clients + 100, preparedPerServer: PREPARED_PER_SERVER };
    proxy = await startIntermediary(through, own);
    const { host, port } = proxy;
    const secret = await clientKeyOf(server, login);
    const counts = new Map<string, number>();
    const world: SoakWorld = {
      login: { host, port, user: login.user, database: DATABASE, secret },
      calm: !options.faults,
      counts,
      skip: options.skip ?? [],
    };
    return await soak(options, world, server, proxy);
  } finally {
    await proxy?.end();
    await server?.end();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

async function soak(options: SoakOptions, world: SoakWorld, server: PlainServer, proxy: Intermediary): Promise<SoakReport> {
  const { seed, clients, seconds, faults, maxResidentMb, onProgress } = options;
  const stop = new AbortController();
  const violations: string[] = [];
  const guard = async (work: Promise<void>) => {
    try {
      await work;
    } catch (error) {
      violations.push((error as Error).message);
      stop.abort();
    }
  };
  let highestMb = 0;
  const watchMemory = async () => {
    while (!stop.signal.aborted) {
      highestMb = Math.max(highestMb, residentMb(proxy));
      if (highestMb > maxResidentMb) throw new Error(`the proxy takes ${highestMb.toFixed(0)} MB, the limit is ${maxResidentMb}`);
      await sleep(MEMORY_MS, undefined, { signal: stop.signal }).catch(() => {});
    }
  };
  const report = async () => {
    while (!stop.signal.aborted) {
      await sleep(PROGRESS_MS, undefined, { signal: stop.signal }).catch(() => {});
      const done = [...world.counts.values()].reduce((sum, count) => sum + count, 0);
      onProgress?.(`${done} operations, ${highestMb.toFixed(0)} MB at most`);
    }
  };
  const holdings = new HoldingsWatch(proxy, PREPARED_PER_SERVER);
  const timer = setTimeout(() => stop.abort(), seconds * 1000);
  const lives = Array.from({ length: clients }, (_, index) => new SoakClient(index + 1, new Random(seed, index + 1), world));
  await Promise.all([
    ...lives.map((client) => guard(live(client, stop.signal))),
    ...(faults ? [guard(disturb(server, world, new Random(seed, 0), stop.signal))] : []),
    guard(watchMemory()),
    guard(holdings.during(seconds, stop.signal)),
    guard(report()),
  ]);
  clearTimeout(timer);
  if (violations.length === 0) await guard(holdings.untilNothing());
  if (violations.length > 0 && proxy.said !== '') violations.push(`the proxy said: ${proxy.said}`);
  return { seed, counts: Object.fromEntries([...world.counts].toSorted()), highestMb, holdings: holdings.seen, violations };
}
