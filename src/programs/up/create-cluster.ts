import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { toDiskError } from '#adapters/files/disk-errors.ts';
import { makeMemberFolders } from '#adapters/files/member-folders.ts';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import { writeJson } from '#adapters/files/write-json.ts';
import { openSqliteStore } from '#adapters/store/sqlite/sqlite-store.ts';
import { type Authority, createAuthority, issueCertificate } from '#adapters/tls/authority.ts';
import { writeAuthority, writeTlsFiles } from '#adapters/tls/tls-files.ts';
import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import type { ClusterDescription, ProxyDescription } from '#domain/config/cluster-description.ts';
import { memberPaths } from '#domain/config/cluster-paths.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import { fail } from '#domain/errors.ts';
import { DEFAULT_TAGS } from '#domain/member.ts';
import { issueForProxies } from '#programs/certificates/proxy-trust.ts';
import type { ClusterPaths } from '#programs/cli/cluster-folder.ts';
import { composeConnection } from './connection-urls.ts';
import { drawSecrets } from './draw-secrets.ts';
import type { PostgresInstallation } from './find-postgres.ts';
import { makeProxy } from './make-proxy.ts';
import type { PortPair } from './ports.ts';
import { nearestExisting } from './preflight.ts';
import type { ServerUser } from './server-user.ts';

export interface NewCluster {
  readonly paths: ClusterPaths;
  readonly name: string;
  readonly host: string;
  readonly ports: readonly PortPair[];
  /** Null: none. */
  readonly proxy: ProxyDescription | null;
  readonly postgres: PostgresInstallation;
  readonly serverUser: ServerUser | undefined;
  readonly config: ClusterConfig;
}

/** A fresh data directory with its first segments takes about 70 MB; recycled ones come on top. */
const BYTES_PER_MEMBER = 150 * 2 ** 20;
/** Stands in a folder while its cluster is being made: what lies there was never started and may be thrown away. */
export const UNFINISHED = 'unfinished';

/**
 * Is the folder free for a new cluster, with room for it? Touches nothing. Errors: `cluster.foreignFolder`, `disk.full`,
 * `disk.denied`, `disk.failed`.
 */
export async function checkFolder(dir: string, members: number): Promise<void> {
  try {
    const found = existsSync(dir) ? await readdir(dir) : [];
    if (found.length > 0 && !found.includes(UNFINISHED))
      fail('cluster.foreignFolder', `${dir} holds ${found.slice(0, 3).join(', ')}${found.length > 3 ? ', …' : ''}`);
    const { bavail, bsize } = await statfs(nearestExisting(dir));
    const [room, needed] = [bavail * bsize, members * BYTES_PER_MEMBER].map((bytes) => Math.floor(bytes / 2 ** 20)) as [
      number,
      number,
    ];
    if (room < needed) fail('disk.full', `${dir} has room for ${room}MB; ${members} members take ${needed}MB at least`);
  } catch (error) {
    throw toDiskError(error, dir);
  }
}

/** Makes the folder when it is missing, and marks it as one whose cluster is being made. Errors: `disk.…`. */
export async function claimFolder(dir: string, serverUser: ServerUser | undefined): Promise<void> {
  try {
    await mkdir(dir, { recursive: true });
    // Root's umask may be closed to everybody; the server user has to pass through to the folder of its member.
    await chmod(dir, serverUser === undefined ? 0o700 : 0o711);
    await writeFile(join(dir, UNFINISHED), '');
  } catch (error) {
    throw toDiskError(error, dir);
  }
}

/** Throws away what an interrupted making left. Only under the lock: somebody else may be making a cluster here at this moment. */
export async function clearUnfinished({ dir, lock, lockHolder }: ClusterPaths): Promise<void> {
  for (const path of (await readdir(dir)).map((name) => join(dir, name)))
    if (![join(dir, UNFINISHED), lock, lockHolder].includes(path)) await rm(path, { recursive: true, force: true });
}

/**
 * Makes everything that a cluster needs before its first agent starts, in a folder that was claimed and cleared. The description is
 * written last: from then on it is a cluster, and never cleared again.
 */
export async function createCluster(cluster: NewCluster): Promise<ClusterDescription> {
  const { paths } = cluster;
  const description: ClusterDescription = {
    version: 1,
    cluster: cluster.name,
    createdAt: new Date().toISOString(),
    postgresBin: cluster.postgres.bin,
    postgresVersion: cluster.postgres.version,
    members: cluster.ports.map((pair, index) => ({ name: `n${index + 1}`, host: cluster.host, ...pair })),
    proxy: cluster.proxy,
  };
  const authority = await createAuthority({ cluster: cluster.name });
  await writeAuthority(paths.authority, authority);
  await writeAtomically(paths.ca, authority.certificate, { mode: 0o644 });
  const secrets = drawSecrets();
  await writeJson(paths.secrets, secrets);
  await writeJson(paths.connection, composeConnection(description, secrets.superuser, paths.ca));
  for (const member of description.members) await createMember(cluster, member, authority);
  const members = description.members.map(({ name }) => ({ tlsDir: paths.member(name).tls }));
  const site = { cluster: cluster.name, authority: paths.authority, proxy: paths.proxy, members };
  await issueForProxies(site, { issuer: authority, bundle: authority.certificate });
  if (cluster.proxy !== null) await makeProxy(paths, cluster.proxy);
  await writeFirstConfig(paths.store, cluster.config);
  await writeJson(paths.description, description);
  await rm(join(paths.dir, UNFINISHED));
  return description;
}

async function createMember(
  { paths, name, host, postgres, serverUser }: NewCluster,
  member: ClusterDescription['members'][number],
  authority: Authority,
): Promise<void> {
  const own = memberPaths(`${paths.dir}/${member.name}`);
  await makeMemberFolders(own.memberDir, serverUser);
  await writeTlsFiles(own.tls, authority, await issueCertificate(authority, { name: member.name, hosts: [host, 'localhost'] }));
  const config: MemberConfig = {
    cluster: name,
    name: member.name,
    memberDir: own.memberDir,
    host,
    port: member.port,
    api: { host, port: member.apiPort },
    postgresBin: postgres.bin,
    tags: DEFAULT_TAGS,
    store: { kind: 'sqlite', file: paths.store },
    tlsDir: own.tls,
    secretsFile: paths.secrets,
    ...(serverUser === undefined ? {} : { runAs: serverUser }),
  };
  await writeAtomically(own.config, stringify(config));
}

async function writeFirstConfig(file: string, config: ClusterConfig): Promise<void> {
  const store = await openSqliteStore({ file });
  try {
    await store.compareAndSet('config', null, config);
  } finally {
    await store.close();
  }
}
