import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from '#adapters/postgres/tool.ts';
import { createAuthority, issueCertificate } from '#adapters/tls/authority.ts';
import type { Intermediary, IntermediaryName, IntermediaryOptions } from '../../test/support/intermediaries/intermediary.ts';
import { startIntermediary } from '../../test/support/intermediaries/start-intermediary.ts';
import { HOST, type Login, PlainServer, POSTGRES_BIN, writeFor } from '../../test/support/plain-server.ts';

export const DATABASE = 'bench';
const SCALE = 10;
/** Nothing of a read waits for a disk, and a child of pgpool-II for each client has its connection. */
const PARAMETERS = {
  shared_buffers: '512MB',
  max_connections: '1000',
  synchronous_commit: 'off',
  autovacuum: 'off',
  max_wal_size: '4GB',
  checkpoint_timeout: '1h',
  jit: 'off',
};

/** One server, and each contender in front of it, as long as the measurement lasts. */
export interface Arena {
  readonly server: PlainServer;
  readonly login: Login;
  readonly passwordFile: string;
  readonly folder: string;
  readonly contenders: readonly Intermediary[];
  /** Contenders that could not be started, and why. */
  readonly absent: readonly string[];
  destroy(): Promise<void>;
}

export async function buildArena(
  names: readonly IntermediaryName[],
  clients: { readonly busy: number; readonly idle: number },
  tls: boolean,
): Promise<Arena> {
  const folder = mkdtempSync(join(tmpdir(), 'matriarch-bench-'));
  // The server's own user has to pass through.
  chmodSync(folder, 0o755);
  const ended: (() => Promise<void>)[] = [];
  const destroy = async () => {
    for (const end of ended.toReversed()) await end();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  };
  try {
    const certificates = tls ? await makeCertificates() : undefined;
    const server = await PlainServer.start(join(folder, 'server'), {
      parameters: PARAMETERS,
      ...(certificates === undefined ? {} : { tls: certificates }),
    });
    ended.push(() => server.end());
    const login = await server.addLogin('bencher');
    await fill(server, login, folder);
    const contenders: Intermediary[] = [];
    const absent: string[] = [];
    for (const name of names) {
      // A child for each of 10,000 idle clients would be in the way of everybody.
      const most = name === 'pgpool' ? clients.busy : Math.max(clients.busy, clients.idle);
      const own: IntermediaryOptions = {
        server,
        folder: join(folder, name),
        clients: most,
        ...(certificates && { tls: certificates }),
      };
      try {
        const contender = await startIntermediary(name, own);
        ended.push(() => contender.end());
        contenders.push(contender);
      } catch (error) {
        absent.push(`${name}: ${(error as Error).message}`);
      }
    }
    const logs = join(folder, 'logs');
    mkdirSync(logs);
    return { server, login, passwordFile: passwordsOf(server, folder), folder: logs, contenders, absent, destroy };
  } catch (error) {
    await destroy();
    throw error;
  }
}

async function makeCertificates() {
  const authority = await createAuthority({ cluster: 'bench' });
  return { ca: authority.certificate, ...(await issueCertificate(authority, { name: 'bench', hosts: [HOST] })) };
}

function passwordsOf(server: PlainServer, folder: string): string {
  const lines = server.logins.map(({ user, password }) => `*:*:*:${user}:${password}\n`);
  return writeFor(undefined, join(folder, 'pgpass'), lines.join(''));
}

async function fill(server: PlainServer, login: Login, folder: string): Promise<void> {
  await server.sql(`CREATE DATABASE ${DATABASE} OWNER ${login.user}`);
  const made = await runTool({
    program: join(POSTGRES_BIN, 'pgbench'),
    args: ['-i', '-q', '-s', String(SCALE), '-h', server.host, '-p', String(server.port), '-U', login.user, DATABASE],
    owner: undefined,
    cwd: folder,
    env: { PGPASSFILE: passwordsOf(server, folder) },
  });
  if (made.code !== 0) throw new Error(made.stderr);
  await server.sql(`CREATE UNLOGGED TABLE sink (line text); ALTER TABLE sink OWNER TO ${login.user}`, DATABASE);
}
