import { execFile } from 'node:child_process';
import { constants, existsSync } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { toDiskError } from '#adapters/files/disk-errors.ts';
import { checkSocketPath } from '#adapters/http/unix-socket.ts';
import { findByWorkingDirectory, isAlive, resolveDirectory } from '#adapters/process/processes.ts';
import { openSqliteStore } from '#adapters/store/sqlite/sqlite-store.ts';
import { memberPaths } from '#domain/config/cluster-paths.ts';
import { fail } from '#domain/errors.ts';
import type { FolderCluster } from '#programs/cli/cluster-folder.ts';
import { AgentRegistry } from './agent-registry.ts';
import type { PostgresInstallation } from './find-postgres.ts';
import { refuseTakenPort } from './ports.ts';
import type { UpOptions } from './up-options.ts';

const run = promisify(execFile);

/** The folder itself when it exists, else the nearest one above it that does. */
export function nearestExisting(path: string): string {
  return existsSync(path) || path === '/' ? path : nearestExisting(dirname(path));
}

/** May this user make files there? Throws `disk.readOnly`, `disk.denied` or `disk.failed`. */
export async function checkWritable(folder: string): Promise<void> {
  await access(folder, constants.W_OK | constants.X_OK).catch((error: unknown) => {
    throw toDiskError(error, folder);
  });
}

/** The sockets of the members need short paths. Throws `folder.pathTooLong`. */
export function checkPathLength(dir: string): void {
  checkSocketPath(memberPaths(`${dir}/n16`).socket);
}

/**
 * Looks at a cluster that is about to be brought back, and touches nothing. Errors: `cluster.differs`, `cluster.malformed`,
 * `postgres.wrongVersion`, `cluster.foreignSystem`, `port.taken`, `postgres.foreignServer`, `store.…`.
 */
export async function checkCluster(cluster: FolderCluster, postgres: PostgresInstallation, asked: UpOptions): Promise<void> {
  const records = await readRecords(cluster.paths.store);
  refuseDifferences(cluster, asked, records.durability);
  const agents = new AgentRegistry(cluster.paths.agents);
  for (const { name, host, port, apiPort } of cluster.description.members) {
    const { data } = cluster.paths.member(name);
    await checkVersion(data, postgres);
    if (records.systemIdentifier !== undefined) await checkIdentity(data, postgres, records.systemIdentifier);
    const agent = agents.get(name);
    if (agent !== undefined && isAlive(agent.pid, agent.startTime)) continue;
    await refuseTakenPort(host, apiPort, `the agent of ${name}`);
    if (!isRunning(data)) await refuseTakenPort(host, port, name);
  }
}

/** Options of a new cluster that were given for an old one must say what is so already. */
function refuseDifferences({ paths, description }: FolderCluster, asked: UpOptions, durability: string | undefined): void {
  const compare = (option: string, wanted: unknown, found: unknown, change: string) => {
    if (wanted !== undefined && wanted !== found)
      fail('cluster.differs', `${option} ${String(wanted)}: the cluster in ${paths.dir} has ${String(found)}; ${change}`);
  };
  compare('--name', asked.name, description.cluster, 'a name is for life');
  compare('--members', asked.members, description.members.length, 'members cannot be added or removed here');
  compare('--port', asked.port, description.members[0]?.port, 'ports are for life');
  compare(
    '--durability',
    asked.durability,
    durability,
    '`matriarch config set durability.mode=…` changes it while the cluster runs',
  );
}

function isRunning(data: string): boolean {
  return existsSync(data) && findByWorkingDirectory(resolveDirectory(data)).length > 0;
}

async function checkVersion(data: string, postgres: PostgresInstallation): Promise<void> {
  const major = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => undefined);
  if (major !== undefined && Number(major) !== postgres.major)
    fail(
      'postgres.wrongVersion',
      `${data} is of PostgreSQL ${major.trim()}; the programs in ${postgres.bin} are ${postgres.version}`,
    );
}

/** What the store knows: the system identifier once somebody has bootstrapped, and the configured durability. */
async function readRecords(file: string): Promise<{ readonly systemIdentifier?: string; readonly durability?: string }> {
  if (!existsSync(file)) fail('cluster.malformed', `${file} is missing: the records of the cluster are lost`);
  const store = await openSqliteStore({ file });
  try {
    const identity = (await store.get('identity'))?.value as { readonly systemIdentifier?: string | null } | undefined;
    const config = (await store.get('config'))?.value as { readonly durability?: { readonly mode?: string } } | undefined;
    const [systemIdentifier, durability] = [identity?.systemIdentifier, config?.durability?.mode];
    return { ...(systemIdentifier ? { systemIdentifier } : {}), ...(durability === undefined ? {} : { durability }) };
  } finally {
    await store.close();
  }
}

async function checkIdentity(data: string, postgres: PostgresInstallation, expected: string): Promise<void> {
  if (!existsSync(join(data, 'global', 'pg_control'))) return;
  const { stdout } = await run(join(postgres.bin, 'pg_controldata'), ['-D', data], {
    env: { ...process.env, LC_ALL: 'C' },
    timeout: 10_000,
  });
  const found = /^Database system identifier:\s+(\d+)$/m.exec(stdout)?.[1];
  if (found !== expected)
    fail('cluster.foreignSystem', `${data} has the system identifier ${found ?? 'none'}; that of the cluster is ${expected}`);
}
