import { writeJson } from '#adapters/files/write-json.ts';
import { isAlive } from '#adapters/process/processes.ts';
import type { ClusterDescription, ProxyDescription } from '#domain/config/cluster-description.ts';
import { type FolderCluster, folderCluster, readSecrets } from '#programs/cli/cluster-folder.ts';
import { adoptAgent } from './agent-process.ts';
import { AgentRegistry } from './agent-registry.ts';
import { composeConnection } from './connection-urls.ts';
import { makeProxy } from './make-proxy.ts';
import { chooseProxyPorts, refuseTakenPort } from './ports.ts';
import { PROXY, stopProxy } from './proxy-process.ts';
import type { UpOptions } from './up-options.ts';

const HOST = '127.0.0.1';

/**
 * The proxy of a cluster that is about to be brought back: as it was, as the options have it now, or a first one for a cluster of an
 * older release. What is written is written here. Errors: `port.taken`, `postgres.foreignServer`, `disk.…`, `tls.invalid`.
 */
export async function changeProxy(cluster: FolderCluster, options: UpOptions): Promise<FolderCluster> {
  const { paths, description } = cluster;
  const running = new AgentRegistry(paths.agents).get(PROXY);
  const runs = running !== undefined && isAlive(running.pid, running.startTime);
  const wanted = await choose(description, options, runs);
  if (JSON.stringify(wanted) === JSON.stringify(description.proxy)) return cluster;
  const proxy = adoptAgent(running);
  if (proxy !== undefined) await stopProxy(proxy, () => {});
  if (wanted !== null) await makeProxy(paths, wanted);
  const changed: ClusterDescription = { ...description, proxy: wanted };
  await writeJson(paths.connection, composeConnection(changed, readSecrets(paths.secrets).superuser, paths.ca));
  await writeJson(paths.description, changed);
  return folderCluster(paths, changed);
}

async function choose(
  { proxy, members }: ClusterDescription,
  options: UpOptions,
  runs: boolean,
): Promise<ProxyDescription | null> {
  if (options.proxy === false) return null;
  const asked = options.proxyPort;
  if (proxy === null && asked === undefined) return null;
  if (proxy && (asked === undefined || asked === proxy.port)) {
    if (runs) return proxy;
    await refuseTakenPort(proxy.host, proxy.port, 'the proxy');
    await refuseTakenPort(proxy.host, proxy.metricsPort, 'the metrics of the proxy');
    return proxy;
  }
  return { host: HOST, ...(await chooseProxyPorts(HOST, asked, members)) };
}
