import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';

/** A host that answers nothing is given up after this, as a careful application would. */
const CONNECT_TIMEOUT_MS = 500;
/** Each try costs both sides a whole login. */
const RETRY_MS = 400;
/** A search ends after this, so that whoever is to stop notices. */
const SEARCH_MS = 1000;

export interface Acknowledgement {
  readonly number: number;
  /** The server that acknowledged, `host:port`. */
  readonly server: string;
  readonly sentAt: number;
  readonly ackAt: number;
}

interface Target {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly config: ClientConfig;
}

/** Reads a libpq URL with several hosts as libpq does; node-postgres knows single hosts only. */
export function readUrl(url: string): Target {
  const match = /^postgresql:\/\/([^:]+):([^@]+)@([^/]+)\/([^?]+)\?(.*)$/.exec(url);
  if (match === null) throw new Error('not the URL of a cluster');
  const [, user = '', password = '', hosts = '', database = '', query = ''] = match;
  const options = new URLSearchParams(query);
  const ca = options.get('sslrootcert');
  return {
    hosts: hosts.split(',').map((one) => {
      const [host = '', port = '5432'] = one.split(':');
      return { host, port: Number(port) };
    }),
    config: {
      user: decodeURIComponent(user),
      password: decodeURIComponent(password),
      database,
      ...(ca === null ? {} : { ssl: { ca: readFileSync(ca, 'utf8'), checkServerIdentity: () => undefined } }),
    },
  };
}

interface Found {
  readonly client: Client;
  readonly server: string;
}

/**
 * Connects to the first host that takes writes, asking all of them at once, each again and again by itself: one that does not answer
 * holds up no other. Undefined when none has taken writes in time.
 */
export async function connectReadWrite(target: Target, retryMs = RETRY_MS): Promise<Found | undefined> {
  const deadline = performance.now() + SEARCH_MS;
  let found: Found | undefined;
  const search = async (host: string, port: number) => {
    while (found === undefined && performance.now() < deadline) {
      const client = await connectIfPrimary(target, host, port);
      if (client !== undefined && found === undefined) found = { client, server: `${host}:${port}` };
      else if (client !== undefined) client.end().catch(() => {});
      else await sleep(retryMs);
      if (found !== undefined) return;
    }
    // Not the first to end: the others may find one yet.
    throw new Error('no primary here');
  };
  await Promise.any(target.hosts.map(({ host, port }) => search(host, port))).catch(() => {});
  return found;
}

async function connectIfPrimary({ config }: Target, host: string, port: number): Promise<Client | undefined> {
  const client = new Client({ ...config, host, port, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await Promise.race([
      client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby'),
      rejectAfter(CONNECT_TIMEOUT_MS),
    ]);
    if (rows[0]?.standby === false) return client;
  } catch {
    // Not this one, or not now.
  }
  client.end().catch(() => {});
  return undefined;
}

export interface WriterOptions {
  /** A statement without an answer for this long is given up and its connection with it; its fate is unknown. Default 15 000. */
  readonly statementTimeoutMs?: number | undefined;
  /** Between two statements, for a machine that has other things to do. Default 0. */
  readonly pauseMs?: number;
  /** Between two looks for a primary at the same server; no outage is known better than this. Default 400. */
  readonly retryMs?: number;
}

/**
 * An application that writes numbered rows through the cluster's URL, one after the other, and remembers every acknowledgement. A
 * commit that came with the warning "canceling wait for synchronous replication" is none: PostgreSQL says so.
 */
export class NumberedWriter {
  readonly acknowledged: Acknowledgement[] = [];
  /** Numbers whose statement was answered with an error or not at all. */
  readonly uncertain: number[] = [];
  readonly errors: string[] = [];
  readonly #target: Target;
  readonly #series: string;
  #next = 0;
  #running: Promise<void> | undefined;
  #stop = false;
  #client: Client | undefined;
  readonly #statementTimeoutMs: number;
  readonly #pauseMs: number;
  readonly #retryMs: number | undefined;

  constructor(url: string, series: string, { statementTimeoutMs = 15_000, pauseMs = 0, retryMs }: WriterOptions = {}) {
    this.#target = readUrl(url);
    this.#series = series;
    this.#statementTimeoutMs = statementTimeoutMs;
    this.#pauseMs = pauseMs;
    this.#retryMs = retryMs;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Resolves when the last statement has ended. */
  async stop(): Promise<void> {
    this.#stop = true;
    await Promise.race([this.#running, sleep(2000)]);
    await Promise.race([this.#client?.end().catch(() => {}), sleep(500)]);
  }

  /** The longest time between two acknowledgements after `since`, in milliseconds; up to now when none came any more. */
  longestGapMs(since: number): number {
    const times = [since, ...this.acknowledged.map((one) => one.ackAt).filter((at) => at >= since)];
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? at));
    return Math.max(
      0,
      ...gaps,
      performance.now() - (times.at(-1) ?? since) > 1000 ? performance.now() - (times.at(-1) ?? since) : 0,
    );
  }

  /** Resolves when `count` more rows were acknowledged. */
  async advance(count: number, timeoutMs: number): Promise<void> {
    const goal = this.acknowledged.length + count;
    const deadline = performance.now() + timeoutMs;
    while (this.acknowledged.length < goal) {
      if (performance.now() > deadline)
        throw new Error(`only ${this.acknowledged.length} of ${goal} rows acknowledged; last error: ${this.errors.at(-1)}`);
      await sleep(10);
    }
  }

  async #run(): Promise<void> {
    let server = '';
    while (!this.#stop) {
      if (this.#client === undefined) {
        const found = await connectReadWrite(this.#target, this.#retryMs);
        if (found === undefined) continue;
        this.#client = found.client;
        server = found.server;
      }
      await this.#write(this.#client, server);
      if (this.#pauseMs > 0) await sleep(this.#pauseMs);
    }
  }

  async #write(client: Client, server: string): Promise<void> {
    const number = this.#next++;
    const sentAt = performance.now();
    let cancelled = false;
    const onNotice = (notice: { code?: string | undefined }) => {
      if (notice.code === '01000') cancelled = true;
    };
    client.on('notice', onNotice);
    try {
      const query = client.query('insert into numbered (series, number) values ($1, $2)', [this.#series, number]);
      await Promise.race([query, rejectAfter(this.#statementTimeoutMs)]);
      if (cancelled) this.uncertain.push(number);
      else this.acknowledged.push({ number, server, sentAt, ackAt: performance.now() });
    } catch (error) {
      this.uncertain.push(number);
      this.errors.push((error as Error).message);
      this.#client = undefined;
      client.end().catch(() => {});
    } finally {
      client.off('notice', onNotice);
    }
  }

  /** The acknowledged numbers that the cluster no longer has: must be none. */
  async missing(client: Client): Promise<readonly number[]> {
    const { rows } = await client.query<{ number: string }>('select number from numbered where series = $1', [this.#series]);
    const present = new Set(rows.map((row) => Number(row.number)));
    return this.acknowledged.map((one) => one.number).filter((number) => !present.has(number));
  }
}

function rejectAfter(ms: number): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  setTimeout(() => reject(new Error('no answer')), ms).unref();
  return promise;
}

/**
 * Servers that acknowledged in the same moment: an acknowledgement sent by one after another one had begun to. Written as
 * `server → server`; must be empty.
 */
export function overlaps(writers: readonly NumberedWriter[]): readonly string[] {
  const all = writers.flatMap((writer) => writer.acknowledged).sort((a, b) => a.ackAt - b.ackAt);
  const found: string[] = [];
  let leader: Acknowledgement | undefined;
  const past = new Map<string, Acknowledgement>();
  for (const one of all) {
    if (leader !== undefined && one.server !== leader.server) {
      past.set(leader.server, leader);
      const before = past.get(one.server);
      // Back at an earlier server: right only if it was asked after the one in between had acknowledged, which a new claim explains.
      if (before !== undefined && one.sentAt < leader.ackAt) found.push(`${leader.server} → ${one.server} (row ${one.number})`);
    }
    leader = one;
  }
  return found;
}
