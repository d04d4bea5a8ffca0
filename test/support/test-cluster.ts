import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { parse, stringify } from 'yaml';
import { callApi } from '#adapters/http/call-api.ts';
import { findByWorkingDirectory, isAlive } from '#adapters/process/processes.ts';
import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import type { ClusterDescription, ConnectionUrls, Secrets } from '#domain/config/cluster-description.ts';
import { clusterPaths, memberPaths } from '#domain/config/cluster-paths.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import { initialClusterConfig } from '#domain/config/parse-config.ts';
import type { AgentStatus } from '#domain/status.ts';
import { type AgentProcess, startAgent } from '#programs/up/agent-process.ts';
import { composeConnection } from '#programs/up/connection-urls.ts';
import { claimFolder, createCluster } from '#programs/up/create-cluster.ts';
import { findPostgres } from '#programs/up/find-postgres.ts';
import { choosePorts } from '#programs/up/ports.ts';
import { chooseServerUser } from '#programs/up/server-user.ts';
import { connectReadWrite, readUrl } from './numbered-writer.ts';

/** Where the members of a cluster run, when that is not this very host. */
export interface Placement {
  address(member: string): string;
  /** Before a command: runs it where the member lives, with the pid that it was given. */
  prefix(member: string): readonly string[];
  /** What the members need to find their store, and how it is taken away: until the function that comes back is called. */
  readonly store: MemberConfig['store'];
  storeAway(): Promise<() => Promise<void>>;
}

export interface TestClusterOptions {
  readonly members?: number;
  readonly durability?: ClusterConfig['durability']['mode'];
  readonly timings?: Partial<ClusterConfig['timings']>;
  readonly placement?: Placement;
  /** After the folders were made and before the first agent starts. */
  readonly prepare?: (paths: ReturnType<typeof clusterPaths>, description: ClusterDescription) => Promise<void>;
}

const POLL_MS = 50;
/** What an agent that is killed may leave running, writing into the data of its member. */
const TOOLS = ['pg_basebackup', 'pg_rewind', 'initdb'];
/** As `bin/matriarch` sets it: agents start in the time, and take the memory, that they take for people. */
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../../node_modules/.cache/matriarch', import.meta.url));

/** A whole cluster of real agents and servers in a temporary folder, without a supervisor: what a test kills stays dead. */
export class TestCluster {
  readonly description: ClusterDescription;
  readonly paths: ReturnType<typeof clusterPaths>;
  readonly urls: ConnectionUrls;
  readonly #agents = new Map<string, AgentProcess>();
  readonly #placement: Placement | undefined;

  private constructor(
    description: ClusterDescription,
    paths: ReturnType<typeof clusterPaths>,
    urls: ConnectionUrls,
    placement: Placement | undefined,
  ) {
    this.#placement = placement;
    this.description = description;
    this.paths = paths;
    this.urls = urls;
  }

  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const dir = await mkdtemp(join(tmpdir(), 'matriarch-'));
    const members = options.members ?? 3;
    const serverUser = await chooseServerUser();
    const paths = clusterPaths(dir);
    await claimFolder(dir, serverUser);
    const first = initialClusterConfig(members, options.durability);
    const config = { ...first, timings: { ...first.timings, ...options.timings } };
    const here = await createCluster({
      paths,
      name: 'test',
      host: '127.0.0.1',
      proxy: null,
      ports: await choosePorts('127.0.0.1', members, undefined),
      postgres: await findPostgres(undefined),
      serverUser,
      config,
    });
    const description = options.placement === undefined ? here : await place(here, paths, options.placement, config);
    const { superuser } = JSON.parse(await readFile(paths.secrets, 'utf8')) as Secrets;
    const urls = composeConnection(description, superuser, paths.ca);
    const cluster = new TestCluster(description, paths, urls, options.placement);
    await options.prepare?.(paths, description);
    for (const name of cluster.names) cluster.startAgent(name);
    try {
      await cluster.healthy(60_000);
      await cluster.sql('create table numbered (series text, number bigint, primary key (series, number))');
    } catch (error) {
      if (process.env.KEEP === undefined) await cluster.destroy();
      throw error;
    }
    return cluster;
  }

  get names(): readonly string[] {
    return this.description.members.map((member) => member.name);
  }

  startAgent(name: string): void {
    this.#agents.set(name, startAgent(this.paths.member(name).memberDir, this.#placement?.prefix(name)));
  }

  /** Starts the agent anew; its server runs on and is adopted. Resolves when the new agent answers. */
  async restartAgent(name: string): Promise<void> {
    signal(this.agentPid(name), 'SIGKILL');
    await this.#agents.get(name)?.ended;
    this.startAgent(name);
    const pid = this.agentPid(name);
    await this.until(
      `the new agent of ${name}`,
      async () => (await this.status(name))?.self.agentPid === pid || undefined,
      15_000,
    );
  }

  /** Resolves with what is known of its end. */
  agentEnd(name: string): Promise<string> {
    return this.#agents.get(name)?.ended ?? Promise.resolve('it was never started');
  }

  /** After a test that left some dead. */
  startMissingAgents(): void {
    for (const name of this.names) if (!isAlive(this.agentPid(name))) this.startAgent(name);
  }

  agentPid(name: string): number {
    return this.#agents.get(name)?.pid ?? 0;
  }

  /** Undefined when the agent does not answer. */
  async status(name: string): Promise<AgentStatus | undefined> {
    try {
      const { json } = await callApi({ socketPath: this.paths.member(name).socket }, 'GET', '/status', { timeoutMs: 1000 });
      return json as AgentStatus;
    } catch {
      return undefined;
    }
  }

  async post(name: string, path: string, body: unknown = {}): Promise<unknown> {
    const { json } = await callApi({ socketPath: this.paths.member(name).socket }, 'POST', path, { body, timeoutMs: 60_000 });
    return json;
  }

  async get<T>(name: string, path: string): Promise<T> {
    const { json } = await callApi({ socketPath: this.paths.member(name).socket }, 'GET', path, { timeoutMs: 5000 });
    return json as T;
  }

  /** Changes the dynamic configuration as `matriarch config set` does. */
  async configure(change: (config: ClusterConfig) => ClusterConfig): Promise<void> {
    const name = await this.leader();
    const { version, config } = await this.get<{ readonly version: number; readonly config: ClusterConfig }>(name, '/config');
    const body = { version, config: change(config) };
    await callApi({ socketPath: this.paths.member(name).socket }, 'PUT', '/config', { body });
  }

  async agentLog(name: string): Promise<string> {
    return readFile(this.paths.member(name).agentLog, 'utf8');
  }

  async statuses(): Promise<readonly AgentStatus[]> {
    const all = await Promise.all(this.names.map((name) => this.status(name)));
    return all.filter((status) => status !== undefined);
  }

  /** The member that serves as the primary of the highest epoch, by its own word. */
  async leader(timeoutMs = 30_000): Promise<string> {
    return this.until(
      'a leader that serves',
      async () =>
        (await this.statuses())
          .filter(({ self, leader }) => self.state === 'primary' && leader?.member === self.name)
          .sort((a, b) => (b.leader?.epoch ?? 0) - (a.leader?.epoch ?? 0))[0]?.self.name,
      timeoutMs,
    );
  }

  /** Somebody other than `member` who serves as the primary. Asks only the others: a stopped agent would hold up every look. */
  async successorOf(member: string, timeoutMs = 30_000): Promise<string> {
    return this.until(
      `another leader than ${member}`,
      async () => {
        const others = await Promise.all(this.standbys(member).map((name) => this.status(name)));
        return others.find((status) => status?.self.state === 'primary')?.self.name;
      },
      timeoutMs,
    );
  }

  async epoch(): Promise<number> {
    return (await this.status(await this.leader()))?.leader?.epoch ?? 0;
  }

  standbys(leader: string): readonly string[] {
    return this.names.filter((name) => name !== leader);
  }

  /** A leader serves, all others stream from it, and the sync set holds them all. */
  async healthy(timeoutMs = 30_000, names = this.names): Promise<string> {
    return this.until(
      `${names.join(', ')} in order`,
      async () => {
        const statuses = await this.statuses();
        const leader = statuses.find(({ self, leader }) => self.state === 'primary' && leader?.member === self.name);
        if (leader === undefined) return undefined;
        const others = statuses.filter(({ self }) => self.name !== leader.self.name && names.includes(self.name));
        const streaming = others.every(({ self }) => self.state === 'streaming');
        const asynchronous = leader.durabilityMode === 'async';
        const inSet = asynchronous || others.every(({ self }) => leader.leader?.sync.includes(self.incarnation));
        const exact = asynchronous || leader.leader?.sync.length === others.length;
        return others.length === names.length - 1 && streaming && inSet && exact ? leader.self.name : undefined;
      },
      timeoutMs,
    );
  }

  /** Polls until `look` finds something; a timeout throws with what every member says of itself. */
  async until<T>(what: string, look: () => Promise<T | undefined>, timeoutMs: number): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (performance.now() > deadline) {
        const said = (await this.statuses()).map(
          ({ self, leader }) => `${self.name} ${self.state} e${leader?.epoch} [${self.reason}]`,
        );
        throw new Error(`waited ${timeoutMs} ms in vain for ${what}: ${said.join('; ')} (${this.paths.dir})`);
      }
      await sleep(POLL_MS);
    }
  }

  async sql<Row extends object>(text: string): Promise<readonly Row[]> {
    const found = await this.until('a connection', () => connectReadWrite(readUrl(this.urls.direct)), 30_000);
    try {
      return (await found.client.query<Row>(text)).rows;
    } finally {
      await found.client.end();
    }
  }

  async connect(): Promise<Client> {
    return (await this.until('a connection', () => connectReadWrite(readUrl(this.urls.direct)), 30_000)).client;
  }

  /** For a client that knows one member only. */
  urlOf(name: string): string {
    const member = this.#member(name);
    return this.urls.direct.replace(/@[^/]+/, `@${member?.host}:${member?.port}`);
  }

  /** A connection to the server of one member, whatever its role, past every routing. */
  async connectTo(name: string): Promise<Client> {
    const { config } = readUrl(this.urls.direct);
    const client = new Client({
      ...config,
      host: this.#member(name)?.host ?? '',
      port: this.port(name),
      connectionTimeoutMillis: 5000,
    });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  port(name: string): number {
    return this.#member(name)?.port ?? 0;
  }

  #member(name: string) {
    return this.description.members.find((member) => member.name === name);
  }

  /** Takes the store away from every member, until the function that comes back is called. */
  async storeAway(): Promise<() => Promise<void>> {
    if (this.#placement !== undefined) return this.#placement.storeAway();
    // The file is not there: to SQLite, and so to the agents, what a disk that was unmounted looks like.
    const away = `${this.paths.store}.away`;
    await rename(this.paths.store, away);
    return () => rename(away, this.paths.store);
  }

  /** Pids of the agent, the guard, and every process of the server. */
  async pids(name: string): Promise<{
    readonly agent: number;
    readonly guard: number;
    readonly postgres: readonly number[];
    readonly postmaster: number;
  }> {
    const status = await this.status(name);
    const postgres = findByWorkingDirectory(memberPaths(this.paths.member(name).memberDir).data).map(({ pid }) => pid);
    return {
      agent: this.agentPid(name),
      guard: status?.self.guardPid ?? 0,
      postgres,
      postmaster: status?.self.postgresPid ?? 0,
    };
  }

  /** Ends everything of a member at this moment, as a power cut would. */
  async killMember(name: string): Promise<void> {
    const { agent, guard, postgres } = await this.pids(name);
    for (const pid of [agent, guard, ...postgres]) signal(pid, 'SIGKILL');
    this.#killServer(name);
  }

  /** Twice nothing, since a process that was forked during one scan may be missed by it. */
  #killServer(name: string): void {
    const { data, memberDir } = this.paths.member(name);
    for (let attempt = 0, clear = 0; attempt < 50 && clear < 2; attempt++) {
      const tools = TOOLS.flatMap((tool) => findByWorkingDirectory(memberDir, tool));
      const left = [...findByWorkingDirectory(data), ...tools];
      for (const { pid } of left) signal(pid, 'SIGKILL');
      clear = left.length === 0 ? clear + 1 : 0;
    }
  }

  /** Ends every process and removes the folder. `unmount`: in between. */
  async destroy(unmount?: () => void): Promise<void> {
    if (process.env.KEEP !== undefined) return;
    for (const name of this.names) {
      const { agent, guard } = await this.pids(name);
      for (const pid of [agent, guard]) signal(pid, 'SIGKILL');
      this.#killServer(name);
    }
    unmount?.();
    // What was killed may be ending still.
    await rm(this.paths.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** Moves the members, which were made for this host, to hosts of their own. */
async function place(
  description: ClusterDescription,
  paths: ReturnType<typeof clusterPaths>,
  placement: Placement,
  initialConfig: ClusterConfig,
): Promise<ClusterDescription> {
  const members = description.members.map((member) => ({ ...member, host: placement.address(member.name) }));
  for (const { name, host, apiPort } of members) {
    const file = paths.member(name).config;
    const made = parse(await readFile(file, 'utf8')) as MemberConfig;
    await writeFile(file, stringify({ ...made, host, api: { host, port: apiPort }, store: placement.store, initialConfig }));
  }
  return { ...description, members };
}

/** Sends a signal to a process that may be gone. */
export function signal(pid: number, name: NodeJS.Signals): void {
  if (pid <= 1 || !isAlive(pid)) return;
  try {
    process.kill(pid, name);
  } catch {
    // It ended in between.
  }
}
