import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { callApi } from '#adapters/http/call-api.ts';
import { findByWorkingDirectory } from '#adapters/process/processes.ts';
import { machinesPaths, memberPaths } from '#domain/config/cluster-paths.ts';
import type { AgentStatus } from '#domain/status.ts';
import { type StatusDocument, statusDocumentSchema } from '#domain/status-document.ts';
import { type Finished, PROGRAM, runMatriarch } from '#programs/cli/run-matriarch.ts';
import { choosePorts, type PortPair } from '#programs/up/ports.ts';
import { chooseServerUser, type ServerUser } from '#programs/up/server-user.ts';
import { signal } from './test-cluster.ts';

const POLL_MS = 50;

/**
 * Members as they run on machines of their own, made by `matriarch machines` and started by `matriarch agent`. Here all of them are on
 * this machine, each with folders of its own in the place of /etc/matriarch and /var/lib/matriarch; the store is a SQLite file.
 */
export class TestMachines {
  readonly root: string;
  readonly admin: ReturnType<typeof machinesPaths>;
  readonly #ports: PortPair[];
  readonly #serverUser: ServerUser | undefined;
  readonly #agents = new Map<string, ChildProcess>();

  private constructor(root: string, ports: PortPair[], serverUser: ServerUser | undefined) {
    this.root = root;
    this.admin = machinesPaths(join(root, 'admin'));
    this.#ports = ports;
    this.#serverUser = serverUser;
  }

  /** Three members that run, and a place for two more. */
  static async start(): Promise<TestMachines> {
    const root = await mkdtemp(join(tmpdir(), 'matriarch-machines-'));
    await chmod(root, 0o755);
    const machines = new TestMachines(root, await choosePorts('127.0.0.1', 5, undefined), await chooseServerUser());
    const members = ['n1', 'n2', 'n3'].flatMap((name) => ['--member', machines.address(name)]);
    const etcd = ['--etcd', 'http://127.0.0.1:2379'];
    await machines.must('machines', 'init', '--dir', machines.admin.dir, '--name', 'test', ...members, ...etcd);
    try {
      for (const name of ['n1', 'n2', 'n3']) {
        machines.install(name);
        machines.startAgent(name);
      }
      await machines.healthy(['n1', 'n2', 'n3']);
    } catch (error) {
      await machines.destroy();
      throw error;
    }
    return machines;
  }

  /** `n2=127.0.0.1:PORT:APIPORT` */
  address(name: string, place = Number(name.slice(1)) - 1): string {
    const pair = this.#ports[place];
    return `${name}=127.0.0.1:${pair?.port}:${pair?.apiPort}`;
  }

  configOf(name: string): string {
    return join(this.root, name, 'etc', 'agent.yaml');
  }

  pathsOf(name: string): ReturnType<typeof memberPaths> {
    return memberPaths(join(this.root, name, 'var'));
  }

  /** What a person does by hand: carries the files of a member to its machine. */
  install(name: string): void {
    const there = join(this.root, name, 'etc');
    mkdirSync(there, { recursive: true });
    cpSync(this.admin.machine(name).configDir, there, { recursive: true });
    const config = parse(
      readFileSync(this.configOf(name), 'utf8')
        .replaceAll('/etc/matriarch', there)
        .replaceAll('/var/lib/matriarch', this.pathsOf(name).memberDir),
    ) as Record<string, unknown>;
    config.store = { kind: 'sqlite', file: join(this.root, 'store.db') };
    if (this.#serverUser !== undefined) config.runAs = this.#serverUser;
    writeFileSync(this.configOf(name), stringify(config), { mode: 0o600 });
  }

  startAgent(name: string): void {
    mkdirSync(join(this.root, 'journal'), { recursive: true });
    const log = openSync(this.journalOf(name), 'a', 0o600);
    const { MATRIARCH_DIR: _dir, MATRIARCH_CONFIG: _config, ...environment } = process.env;
    const child = spawn(PROGRAM, ['agent', '--config', this.configOf(name)], {
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log],
      env: environment,
    });
    closeSync(log);
    this.#agents.set(name, child);
  }

  journalOf(name: string): string {
    return join(this.root, 'journal', `${name}.log`);
  }

  agentPid(name: string): number {
    return this.#agents.get(name)?.pid ?? 0;
  }

  /** As systemd restarts a unit with KillMode=process: SIGTERM to the main process alone, and when it has ended, the next one. */
  async restartAgent(name: string): Promise<void> {
    signal(this.agentPid(name), 'SIGTERM');
    await this.agentEnd(name);
    this.startAgent(name);
    const pid = this.agentPid(name);
    await this.until(`the new agent of ${name}`, async () => (await this.status(name))?.self.agentPid === pid || undefined);
  }

  /** The exit code of the agent, when it has ended. */
  async agentEnd(name: string): Promise<number | null> {
    const child = this.#agents.get(name);
    if (child === undefined) throw new Error(`${name} was never started`);
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child.exitCode;
  }

  run(...args: string[]): Promise<Finished> {
    return runMatriarch(args);
  }

  /** The standard output of a command that must succeed. */
  async must(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code !== 0) throw new Error(`matriarch ${args.join(' ')}: ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Undefined when the agent does not answer. */
  async status(name: string): Promise<AgentStatus | undefined> {
    try {
      const { json } = await callApi({ socketPath: this.pathsOf(name).socket }, 'GET', '/status', { timeoutMs: 1000 });
      return json as AgentStatus;
    } catch {
      return undefined;
    }
  }

  /** What the command says on the machine of a member. */
  async document(name: string): Promise<StatusDocument> {
    const { stdout } = await this.run('status', '-o', 'json', '--config', this.configOf(name));
    return statusDocumentSchema.parse(JSON.parse(stdout));
  }

  async leader(names: readonly string[] = ['n1', 'n2', 'n3']): Promise<string> {
    return this.until('a leader', async () => {
      const all = await Promise.all(names.map((name) => this.status(name)));
      return all.find((status) => status?.self.state === 'primary' && status.leader?.member === status.self.name)?.self.name;
    });
  }

  /** One leads, the others stream, and the sync set holds exactly them. */
  async healthy(names: readonly string[]): Promise<string> {
    return this.until(`${names.join(', ')} in order`, async () => {
      const all = await Promise.all(names.map((name) => this.status(name)));
      const leader = all.find((status) => status?.self.state === 'primary' && status.leader?.member === status.self.name);
      const others = all.filter((status) => status?.self.name !== leader?.self.name);
      const sync = leader?.leader?.sync ?? [];
      const well = others.every((status) => status?.self.state === 'streaming' && sync.includes(status.self.incarnation));
      return leader !== undefined && well && sync.length === others.length ? leader.self.name : undefined;
    });
  }

  /** The URL that applications use, with the members that the agent of `name` knows. */
  async url(name: string): Promise<string> {
    const { connection } = await this.document(name);
    if (connection.direct === null) throw new Error('the passwords cannot be read');
    return connection.direct.replace(/sslrootcert=[^&]*/, `sslrootcert=${this.admin.ca}`);
  }

  async until<T>(what: string, look: () => Promise<T | undefined>, timeoutMs = 60_000): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (performance.now() > deadline) {
        const all = await Promise.all([...this.#agents.keys()].map((name) => this.status(name)));
        const said = all.map((one) => one && `${one.self.name} ${one.self.state} e${one.leader?.epoch} [${one.self.reason}]`);
        throw new Error(`waited ${timeoutMs} ms in vain for ${what}: ${said.join('; ')}`);
      }
      await sleep(POLL_MS);
    }
  }

  /** Ends every process that was started here, and removes the folder. */
  async destroy(): Promise<void> {
    if (process.env.KEEP !== undefined) return;
    for (const name of this.#agents.keys()) {
      const guard = (await this.status(name))?.self.guardPid ?? 0;
      for (const pid of [this.agentPid(name), guard]) signal(pid, 'SIGKILL');
      for (let attempt = 0; attempt < 50; attempt++) {
        const left = findByWorkingDirectory(this.pathsOf(name).data);
        if (left.length === 0) break;
        for (const { pid } of left) signal(pid, 'SIGKILL');
      }
    }
    // The canary writes until it notices that its agent is gone.
    await rm(this.root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
