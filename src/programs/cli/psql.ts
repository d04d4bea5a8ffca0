import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fail } from '#domain/errors.ts';
import { type Cluster, memberNamed } from './cluster.ts';
import { openCluster, type Where } from './open-cluster.ts';

interface PsqlOptions extends Where {
  readonly primary?: boolean;
  readonly replica?: boolean;
  readonly member?: string;
}

/** libpq's environment, so that no password stands in an argument list. Settings in `args` win, as psql itself has it. */
export function psqlEnvironment(
  cluster: Pick<Cluster, 'name' | 'members' | 'proxy' | 'caFile'>,
  url: string,
  options: PsqlOptions,
): Record<string, string> {
  const { username, password, hostname: _, ...rest } = parseUrl(url);
  const members = options.member === undefined ? cluster.members : [memberNamed(cluster, options.member)];
  // The members stand behind the proxy: libpq goes on to them when it does not run.
  const proxied = cluster.proxy !== null && options.member === undefined && options.replica !== true;
  const chosen = [...(proxied && cluster.proxy !== null ? [cluster.proxy] : []), ...members];
  return {
    PGHOST: chosen.map((member) => member.host).join(','),
    PGPORT: chosen.map((member) => member.port).join(','),
    PGUSER: username,
    PGPASSWORD: password,
    PGDATABASE: rest.database,
    PGSSLMODE: rest.query.get('sslmode') ?? 'verify-ca',
    PGSSLROOTCERT: rest.query.get('sslrootcert') ?? cluster.caFile,
    PGCONNECT_TIMEOUT: rest.query.get('connect_timeout') ?? '5',
    PGTARGETSESSIONATTRS: options.member !== undefined ? 'any' : options.replica === true ? 'prefer-standby' : 'read-write',
  };
}

/** A libpq URL may name several hosts, which `URL` does not understand. */
function parseUrl(url: string) {
  const match = /^postgresql:\/\/([^:@]+):([^@]+)@([^/]+)\/([^?]*)\??(.*)$/.exec(url);
  if (match === null) fail('cluster.malformed', 'connection.json: direct is no libpq URL with a password');
  const [, username = '', password = '', hostname = '', database = '', query = ''] = match;
  return {
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    hostname,
    database: decodeURIComponent(database),
    query: new URLSearchParams(query),
  };
}

export async function psql(args: readonly string[], options: PsqlOptions): Promise<void> {
  const cluster = await openCluster(options);
  const urls = cluster.connection();
  if (urls === undefined) fail('disk.denied', `${cluster.passwordsFile} cannot be read: only the owner of the cluster may`);
  const program = join(cluster.postgresBin, 'psql');
  if (!existsSync(program)) fail('postgres.notFound', `${program} is missing`);
  const environment = psqlEnvironment(cluster, urls.direct, options);
  // Ctrl-C reaches psql through the terminal; it cancels a query there, and must not end this process under it.
  process.on('SIGINT', () => {});
  const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...environment } });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}
