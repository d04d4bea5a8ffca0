import { dirname, resolve } from 'node:path';
import { clusterPaths } from '#domain/config/cluster-paths.ts';
import { initialClusterConfig } from '#domain/config/parse-config.ts';
import { fail } from '#domain/errors.ts';
import { openSite } from '#programs/certificates/open-site.ts';
import { keepProxies } from '#programs/certificates/proxy-trust.ts';
import { trustNow } from '#programs/certificates/trust.ts';
import { clusterFolder, type FolderCluster, folderCluster, isClusterFolder, openFolder } from '#programs/cli/cluster-folder.ts';
import { changeProxy } from './change-proxy.ts';
import { checkFolder, claimFolder, clearUnfinished, createCluster } from './create-cluster.ts';
import { findPostgres } from './find-postgres.ts';
import { choosePorts, chooseProxyPorts } from './ports.ts';
import { checkCluster, checkPathLength, checkWritable, nearestExisting } from './preflight.ts';
import { checkReachable, chooseServerUser } from './server-user.ts';
import { readHolder, SupervisorLock } from './supervisor-lock.ts';
import type { UpOptions } from './up-options.ts';

const HOST = '127.0.0.1';
const DEFAULT_MEMBERS = 3;

/** The cluster that `up` is about: the one in the folder, or a new one made there. Every check comes before the first change. */
export async function prepareCluster(options: UpOptions): Promise<FolderCluster> {
  const dir = clusterFolder(options.dir, options.name);
  const paths = clusterPaths(dir);
  const holder = readHolder(paths.lockHolder);
  if (holder !== undefined) fail('cluster.alreadyUp', `the cluster in ${dir} is supervised by process ${holder.pid}`);
  return isClusterFolder(dir) ? reopen(dir, options) : create(dir, options);
}

async function reopen(dir: string, options: UpOptions): Promise<FolderCluster> {
  const cluster = await openFolder(dir);
  const bin = options.postgresBin === undefined ? cluster.description.postgresBin : resolve(options.postgresBin);
  await checkWritable(dir);
  await checkCluster(cluster, await findPostgres(bin), options);
  if (bin !== cluster.description.postgresBin)
    fail(
      'cluster.differs',
      `--postgres-bin ${bin}: the members run with ${cluster.description.postgresBin}; edit their agent.yaml`,
    );
  // A cluster of before there were proxies.
  const site = await openSite(dir);
  await keepProxies(site, await trustNow(site));
  return await changeProxy(cluster, options);
}

async function create(dir: string, options: UpOptions): Promise<FolderCluster> {
  const paths = clusterPaths(dir);
  const members = options.members ?? DEFAULT_MEMBERS;
  const config = initialClusterConfig(members, options.durability);
  const postgres = await findPostgres(options.postgresBin === undefined ? undefined : resolve(options.postgresBin));
  checkPathLength(dir);
  const existing = nearestExisting(dir);
  await checkWritable(existing);
  await checkFolder(dir, members);
  const serverUser = await chooseServerUser();
  if (serverUser !== undefined) await checkReachable(existing === dir ? dirname(dir) : existing, serverUser);
  const ports = await choosePorts(HOST, members, options.port);
  const proxy = options.proxy === false ? null : { host: HOST, ...(await chooseProxyPorts(HOST, options.proxyPort, ports)) };
  await claimFolder(dir, serverUser);
  const lock = await SupervisorLock.take(paths.lock, paths.lockHolder);
  try {
    if (isClusterFolder(dir)) fail('cluster.alreadyUp', `another \`up\` has just made a cluster in ${dir}`);
    await clearUnfinished(paths);
    const name = options.name ?? 'main';
    const description = await createCluster({ paths, name, host: HOST, ports, proxy, postgres, serverUser, config });
    return folderCluster(paths, description);
  } finally {
    lock.release();
  }
}
