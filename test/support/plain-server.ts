import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { runTool } from '#adapters/postgres/tool.ts';
import { chooseServerUser, type ServerUser } from '#adapters/process/server-user.ts';
import { freePorts } from './patroni-ports.ts';
import { RunningProgram } from './running-program.ts';

export const POSTGRES_BIN = process.env.MATRIARCH_TEST_POSTGRES_BIN ?? '/usr/lib/postgresql/15/bin';
export const HOST = '127.0.0.1';
const SUPERUSER = 'postgres';

export interface Login {
  readonly user: string;
  readonly password: string;
}

export interface PlainServerOptions {
  readonly parameters?: Readonly<Record<string, string>>;
  /** PEM. With it the server takes connections with TLS, beside those without. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

/** One PostgreSQL server without an agent, with scram-sha-256 for everybody over TCP. Nothing in it survives a power failure. */
export class PlainServer {
  readonly host = HOST;
  readonly port: number;
  readonly folder: string;
  readonly superuser: Login;
  readonly owner: ServerUser | undefined;
  /** Every login made so far. */
  readonly logins: Login[];
  #program: RunningProgram;

  private constructor(folder: string, port: number, superuser: Login, owner: ServerUser | undefined, program: RunningProgram) {
    this.folder = folder;
    this.port = port;
    this.superuser = superuser;
    this.logins = [superuser];
    this.owner = owner;
    this.#program = program;
  }

  /** `folder` must not exist; its parent must be one that everybody may pass through. */
  static async start(folder: string, { parameters = {}, tls }: PlainServerOptions = {}): Promise<PlainServer> {
    const owner = (await chooseServerUser()) ?? undefined;
    mkdirSync(folder, { mode: 0o700 });
    giveTo(owner, folder);
    const superuser = { user: SUPERUSER, password: randomBytes(12).toString('hex') };
    const passwordFile = writeFor(owner, join(folder, 'password'), superuser.password);
    const data = join(folder, 'data');
    const flags = ['-U', SUPERUSER, '--pwfile', passwordFile, '-A', 'scram-sha-256', '-E', 'UTF8', '--locale=C', '--no-sync'];
    const made = await runTool({ program: join(POSTGRES_BIN, 'initdb'), args: ['-D', data, ...flags], owner, cwd: folder });
    if (made.code !== 0) throw new Error(`initdb: ${made.stderr}`);
    if (tls !== undefined) {
      writeFor(owner, join(data, 'server.crt'), tls.certificate);
      writeFor(owner, join(data, 'server.key'), tls.key);
    }
    const [port = 0] = await freePorts(1);
    const settings = {
      listen_addresses: HOST,
      port: String(port),
      unix_socket_directories: folder,
      fsync: 'off',
      ssl: tls === undefined ? 'off' : 'on',
      ...parameters,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const program = new RunningProgram(join(POSTGRES_BIN, 'postgres'), ['-D', data, ...args], {
      cwd: data,
      owner,
      endSignal: 'SIGINT',
    });
    const server = new PlainServer(folder, port, superuser, owner, program);
    await program.until(() => server.sql('SELECT'));
    return server;
  }

  /** The end of its log. */
  get said(): string {
    return this.#program.said;
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** As the superuser, past any proxy. */
  async connect(database = 'postgres'): Promise<pg.Client> {
    const client = new pg.Client({ host: this.host, port: this.port, database, ...this.superuser });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  async sql(text: string, database = 'postgres'): Promise<Record<string, unknown>[]> {
    const client = await this.connect(database);
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  async addLogin(user: string, attributes = ''): Promise<Login> {
    const login = { user, password: randomBytes(12).toString('hex') };
    await this.sql(`CREATE ROLE ${user} LOGIN ${attributes} PASSWORD '${login.password}'`);
    this.logins.push(login);
    return login;
  }

  /** For the server's user alone. Returns its path. */
  passwordFile(name = 'pgpass'): string {
    const lines = this.logins.map(({ user, password }) => `*:*:*:${user}:${password}\n`);
    return writeFor(this.owner, join(this.folder, name), lines.join(''));
  }

  async end(): Promise<void> {
    await this.#program.end();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

export function giveTo(owner: ServerUser | undefined, path: string): void {
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
}

/** Readable by `owner` alone. Returns the path. */
export function writeFor(owner: ServerUser | undefined, path: string, text: string): string {
  writeFileSync(path, text, { mode: 0o600 });
  giveTo(owner, path);
  return path;
}
