import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { findByWorkingDirectory } from '#adapters/process/processes.ts';
import { EtcdCluster } from '#adapters/store/etcd/testing/etcd-cluster.ts';
import { findPostgres } from '#programs/up/find-postgres.ts';
import { chooseServerUser } from '#programs/up/server-user.ts';
import { WATCHFUL } from '../../test/support/machines.ts';
import { TestNetwork } from '../../test/support/network.ts';
import { connectReadWrite, NumberedWriter, readUrl } from '../../test/support/numbered-writer.ts';
import { signal } from '../../test/support/test-cluster.ts';
import type { Contender, ContestFault, ContestRun } from './contender.ts';

export interface PatroniTimings {
  readonly ttl: number;
  readonly loop_wait: number;
  readonly retry_timeout: number;
}

/** What it takes when nobody says anything, and the least that its documentation allows (ttl ≥ 20, loop_wait ≥ 1, retry_timeout ≥ 3). */
export const PATRONI_TIMINGS = {
  defaults: { ttl: 30, loop_wait: 10, retry_timeout: 10 },
  minimum: { ttl: 20, loop_wait: 1, retry_timeout: 3 },
} as const satisfies Readonly<Record<string, PatroniTimings>>;

const MEMBERS = ['n1', 'n2', 'n3'] as const;
const STORE = 'etcd';
const REST_PORT = 8008;
const PASSWORD = 'bench';
const IN_ORDER_MS = 180_000;
const WRITERS = 2;
const ROWS = 20;

interface ClusterMember {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly timeline?: number;
  readonly lag?: number | string;
}

/** Debian's Patroni with etcd, by its documentation's example: asynchronous, pg_rewind, replication slots. */
export async function startPatroni(variant: keyof typeof PATRONI_TIMINGS): Promise<Contender> {
  const network = TestNetwork.create([...MEMBERS, STORE]);
  const dir = await mkdtemp(join(tmpdir(), 'patroni-'));
  await chmod(dir, 0o755);
  const etcd = await EtcdCluster.start({ places: [{ host: network.address(STORE), namespace: network.space(STORE) }] });
  const cluster = new PatroniCluster(network, dir, etcd, PATRONI_TIMINGS[variant]);
  try {
    await cluster.start();
  } catch (error) {
    await cluster.destroy();
    throw error;
  }
  return { name: `patroni, ${variant}`, run: (fault) => cluster.run(fault), destroy: () => cluster.destroy() };
}

class PatroniCluster {
  readonly #network: TestNetwork;
  readonly #dir: string;
  readonly #etcd: EtcdCluster;
  readonly #timings: PatroniTimings;
  readonly #url: string;
  readonly #agents = new Map<string, ChildProcess>();
  #series = 0;

  constructor(network: TestNetwork, dir: string, etcd: EtcdCluster, timings: PatroniTimings) {
    this.#network = network;
    this.#dir = dir;
    this.#etcd = etcd;
    this.#timings = timings;
    const hosts = MEMBERS.map((name) => `${network.address(name)}:5432`).join(',');
    this.#url = `postgresql://postgres:${PASSWORD}@${hosts}/postgres?target_session_attrs=read-write`;
  }

  async start(): Promise<void> {
    const { bin } = await findPostgres(undefined);
    const user = await chooseServerUser();
    if (user === undefined) throw new Error('the comparison with Patroni takes root: its members get network namespaces');
    for (const name of MEMBERS) {
      const folder = join(this.#dir, name);
      mkdirSync(folder, { mode: 0o700 });
      chownSync(folder, user.uid, user.gid);
      await writeFile(join(this.#dir, `${name}.yml`), stringify(this.#config(name, bin)), { mode: 0o644 });
      this.#startAgent(name);
    }
    await this.#inOrder();
    const found = await connectReadWrite(readUrl(this.#url));
    await found?.client.query('create table numbered (series text, number bigint, primary key (series, number))');
    await found?.client.end();
  }

  async run(fault: ContestFault): Promise<ContestRun> {
    const primary = await this.#inOrder();
    this.#series += 1;
    const writers = Array.from(
      { length: WRITERS },
      (_, index) => new NumberedWriter(this.#url, `s${this.#series}w${index}`, WATCHFUL),
    );
    for (const writer of writers) writer.start();
    try {
      await Promise.all(writers.map((writer) => writer.advance(ROWS, 30_000)));
      const since = performance.now();
      const repair = await this.#inject(fault, primary);
      await Promise.all(writers.map((writer) => writer.advance(ROWS, IN_ORDER_MS)));
      const outageMs = Math.max(...writers.map((writer) => writer.longestGapMs(since)));
      await Promise.all(writers.map((writer) => writer.stop()));
      await repair();
      await this.#inOrder();
      return { outageMs, errors: writers.flatMap((writer) => writer.errors), lost: await this.#lost(writers) };
    } finally {
      await Promise.all(writers.map((writer) => writer.stop()));
    }
  }

  async destroy(): Promise<void> {
    for (const name of MEMBERS) this.#signalMember(name, 'SIGKILL');
    await this.#etcd.remove();
    this.#network.destroy();
    await rm(this.#dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  /** Resolves when the fault has had its effect on somebody; the function undoes what does not undo itself. */
  async #inject(fault: ContestFault, primary: string): Promise<() => Promise<void>> {
    const restart = async () => this.#startAgent(primary);
    switch (fault) {
      case 'killPostmaster':
        signal(this.#postmaster(primary), 'SIGKILL');
        return async () => {};
      case 'killMember':
        this.#signalMember(primary, 'SIGKILL');
        return restart;
      case 'powerOff':
        this.#network.cutOff(primary);
        this.#signalMember(primary, 'SIGKILL');
        return async () => {
          this.#network.heal();
          await restart();
        };
      case 'cutOff':
        this.#network.cutOff(primary);
        return async () => this.#network.heal();
      case 'stopMember':
        this.#signalMember(primary, 'SIGSTOP');
        return async () => this.#signalMember(primary, 'SIGCONT');
      case 'killAgentRestarted':
        signal(this.#agents.get(primary)?.pid ?? 0, 'SIGKILL');
        await sleep(1500);
        await restart();
        return async () => {};
      case 'switchover': {
        const body = JSON.stringify({ leader: primary });
        const answer = await fetch(`${this.#api(primary)}/switchover`, { method: 'POST', body });
        if (!answer.ok) throw new Error(`switchover: ${await answer.text()}`);
        return async () => {};
      }
    }
  }

  #startAgent(name: string): void {
    const [program = '', ...prefix] = this.#network.prefix(name);
    const asPostgres = ['setpriv', '--reuid', 'postgres', '--regid', 'postgres', '--init-groups'];
    const log = openSync(join(this.#dir, `${name}.log`), 'a');
    const args = [...prefix, ...asPostgres, 'patroni', join(this.#dir, `${name}.yml`)];
    this.#agents.set(name, spawn(program, args, { stdio: ['ignore', log, log] }));
    closeSync(log);
  }

  #postmaster(name: string): number {
    return findByWorkingDirectory(join(this.#dir, name, 'data'))[0]?.pid ?? 0;
  }

  #signalMember(name: string, which: NodeJS.Signals): void {
    signal(this.#agents.get(name)?.pid ?? 0, which);
    for (const { pid } of findByWorkingDirectory(join(this.#dir, name, 'data'))) signal(pid, which);
  }

  #api(name: string): string {
    return `http://${this.#network.address(name)}:${REST_PORT}`;
  }

  /** A leader runs, and the two others stream from it on its timeline without lag. Who leads. */
  async #inOrder(): Promise<string> {
    const deadline = performance.now() + IN_ORDER_MS;
    let last = '';
    while (performance.now() < deadline) {
      for (const name of MEMBERS) {
        const answer = await fetch(`${this.#api(name)}/cluster`, { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
        if (answer?.ok !== true) continue;
        const { members } = (await answer.json()) as { readonly members: readonly ClusterMember[] };
        last = JSON.stringify(members);
        const leader = members.find(({ role }) => role === 'leader');
        const replicas = members.filter(({ role }) => role === 'replica');
        const follow = replicas.filter(
          ({ state, timeline, lag }) => ['running', 'streaming'].includes(state) && timeline === leader?.timeline && lag === 0,
        );
        if (leader?.state === 'running' && follow.length === MEMBERS.length - 1) return leader.name;
      }
      await sleep(200);
    }
    throw new Error(`Patroni is not in order after ${IN_ORDER_MS / 1000} s: ${last}`);
  }

  async #lost(writers: readonly NumberedWriter[]): Promise<number> {
    const found = await connectReadWrite(readUrl(this.#url));
    if (found === undefined) throw new Error('nobody takes writes');
    let lost = 0;
    for (const writer of writers) lost += (await writer.missing(found.client)).length;
    await found.client.end();
    return lost;
  }

  #config(name: string, binDir: string) {
    const address = this.#network.address(name);
    const login = (username: string) => ({ username, password: PASSWORD });
    return {
      scope: 'bench',
      name,
      restapi: { listen: `${address}:${REST_PORT}`, connect_address: `${address}:${REST_PORT}` },
      etcd3: { hosts: this.#etcd.endpoints.map((url) => new URL(url).host) },
      bootstrap: {
        dcs: {
          ...this.#timings,
          maximum_lag_on_failover: 1_048_576,
          postgresql: { use_pg_rewind: true, use_slots: true },
        },
        initdb: [{ encoding: 'UTF8' }, 'data-checksums'],
        pg_hba: ['host replication replicator 0.0.0.0/0 scram-sha-256', 'host all all 0.0.0.0/0 scram-sha-256'],
      },
      postgresql: {
        listen: `${address}:5432`,
        connect_address: `${address}:5432`,
        data_dir: join(this.#dir, name, 'data'),
        bin_dir: binDir,
        pgpass: join(this.#dir, name, 'pgpass'),
        authentication: { superuser: login('postgres'), replication: login('replicator'), rewind: login('rewinder') },
        parameters: { unix_socket_directories: join(this.#dir, name), password_encryption: 'scram-sha-256' },
      },
    };
  }
}

/** Throws what to install. */
export function patroniVersion(): string {
  try {
    return execFileSync('patroni', ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    throw new Error('Patroni is not on this machine: apt-get install --no-install-recommends patroni python3-etcd');
  }
}
