import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from '#adapters/postgres/tool.ts';
import type { Intermediary, IntermediaryName } from './intermediaries/intermediary.ts';
import { startIntermediary } from './intermediaries/start-intermediary.ts';
import { type Login, PlainServer, POSTGRES_BIN, writeFor } from './plain-server.ts';

/** Which proxy is under test; another one shows that a test can fail. */
const THROUGH = (process.env.MATRIARCH_TEST_THROUGH ?? 'matriarch') as IntermediaryName;
const TOOL_TIMEOUT_MS = 50_000;

/** Where a scenario runs: a database of its own, directly or through the proxy. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** An empty folder, for what it writes. */
  readonly folder: string;
  /** One of PostgreSQL's programs, addressed here by its environment. Errors: it failed. Returns its standard output. */
  run(program: string, args: readonly string[], input?: string): Promise<string>;
}

/** The same scenario on one server, directly and through the proxy, so that what is seen can be compared. */
export class SideBySide {
  readonly server: PlainServer;
  readonly proxy: Intermediary;
  readonly #folder: string;
  readonly #login: Login;
  #scenarios = 0;

  private constructor(folder: string, server: PlainServer, proxy: Intermediary, login: Login) {
    this.#folder = folder;
    this.server = server;
    this.proxy = proxy;
    this.#login = login;
  }

  static async start(): Promise<SideBySide> {
    const folder = mkdtempSync(join(tmpdir(), 'matriarch-proxy-'));
    chmodSync(folder, 0o755);
    const parameters = { wal_level: 'replica', max_wal_senders: '8', max_connections: '100' };
    const server = await PlainServer.start(join(folder, 'server'), { parameters });
    const login = await server.addLogin('tester', 'SUPERUSER REPLICATION');
    const proxy = await startIntermediary(THROUGH, { server, folder: join(folder, 'proxy'), clients: 100 });
    return new SideBySide(folder, server, proxy, login);
  }

  /** What the scenario returns directly, and through the proxy. */
  async both<T>(scenario: (place: Place) => Promise<T>): Promise<{ readonly direct: T; readonly through: T }> {
    const direct = await scenario(await this.#place('direct', this.server));
    return { direct, through: await scenario(await this.#place('through', this.proxy)) };
  }

  async end(): Promise<void> {
    await this.proxy.end();
    await this.server.end();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  async #place(name: string, { host, port }: { readonly host: string; readonly port: number }): Promise<Place> {
    const database = `${name}_${this.#scenarios++}`;
    await this.server.sql(`CREATE DATABASE ${database}`);
    const folder = mkdtempSync(join(this.#folder, 'place-'));
    const { user, password } = this.#login;
    const passwordFile = writeFor(undefined, join(folder, 'pgpass'), `*:*:*:${user}:${password}\n`);
    const run = async (program: string, args: readonly string[], input?: string) => {
      const ran = await runTool({
        program: program.startsWith('/') ? program : join(POSTGRES_BIN, program),
        args,
        owner: undefined,
        cwd: folder,
        env: { PGHOST: host, PGPORT: String(port), PGUSER: user, PGDATABASE: database, PGPASSFILE: passwordFile },
        timeoutMs: TOOL_TIMEOUT_MS,
        ...(input === undefined ? {} : { input }),
      });
      if (ran.code !== 0) throw new Error(`${program} ${name}: ${ran.stdout.slice(-1000)}${ran.stderr.slice(-2000)}`);
      return ran.stdout;
    };
    return { host, port, user, password, database, folder, run };
  }
}
