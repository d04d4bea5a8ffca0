import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { stringify } from 'yaml';
import { freePorts } from './patroni-ports.ts';
import { HOST } from './plain-server.ts';
import { RunningProgram } from './running-program.ts';
import type { TestCluster } from './test-cluster.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'matriarch');

export interface ProxyLogin {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** `matriarch proxy` alone: a process of its own, which a test may kill and start again where it was. */
export class ProxyProcess {
  readonly port: number;
  readonly #folder: string;
  readonly #login: ProxyLogin;
  #program: RunningProgram;

  private constructor(folder: string, port: number, login: ProxyLogin) {
    this.#folder = folder;
    this.port = port;
    this.#login = login;
    this.#program = this.#run();
  }

  /** `settings`: what is said beside the source and the port, as in the file of a proxy. It serves when this resolves. */
  static async start(source: object, login: ProxyLogin, settings: object = {}): Promise<ProxyProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'matriarch-proxy-'));
    const [port = 0] = await freePorts(1);
    writeFileSync(join(folder, 'proxy.yaml'), stringify({ listen: { host: HOST, port }, ...settings, source }), { mode: 0o600 });
    const proxy = new ProxyProcess(folder, port, login);
    await proxy.#serves();
    return proxy;
  }

  /** By mutual TLS with every agent of the cluster, as on a machine of its own. */
  static ofAgents(cluster: TestCluster, login: ProxyLogin, settings?: object): Promise<ProxyProcess> {
    const agents = cluster.description.members.map(({ name, host, apiPort }) => `${name}=${host}:${apiPort}`);
    return ProxyProcess.start({ kind: 'agents', agents, tlsDir: cluster.paths.proxy }, login, settings);
  }

  /** By the sockets of a cluster on this machine. */
  static ofCluster(cluster: TestCluster, login: ProxyLogin, settings?: object): Promise<ProxyProcess> {
    return ProxyProcess.start({ kind: 'cluster', dir: cluster.paths.dir }, login, settings);
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** The end of its log. */
  get said(): string {
    return this.#program.said;
  }

  get login(): ProxyLogin & { readonly host: string; readonly port: number } {
    return { host: HOST, port: this.port, ...this.#login };
  }

  /** A client that is told of its loss by `end`, and by nothing else. */
  async connect(more: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = new pg.Client({ ...this.login, ...more });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  async sql<Row extends object>(text: string): Promise<readonly Row[]> {
    const client = await this.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** kill -9; then the same once more, on the same port. */
  async killAndStart(): Promise<void> {
    process.kill(this.pid, 'SIGKILL');
    await this.#program.end();
    this.#program = this.#run();
    await this.#serves();
  }

  async end(): Promise<void> {
    await this.#program.end();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #run(): RunningProgram {
    return new RunningProgram(PROGRAM, ['proxy', '--config', join(this.#folder, 'proxy.yaml')], {
      cwd: this.#folder,
      endSignal: 'SIGINT',
    });
  }

  #serves(): Promise<void> {
    return this.#program.until(() => this.sql('select 1'));
  }
}
