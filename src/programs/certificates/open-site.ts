import { isAlive, kill } from '#adapters/process/processes.ts';
import { PROXY_NAME } from '#domain/proxy-names.ts';
import type { AgentStatus } from '#domain/status.ts';
import { askMember } from '#programs/cli/ask.ts';
import { type FolderCluster, openFolder } from '#programs/cli/cluster-folder.ts';
import { isMachinesFolder, machinesSite, openMachines } from '#programs/machines/machines-folder.ts';
import { AgentRegistry } from '#programs/up/agent-registry.ts';
import type { CertificateSite } from './site.ts';

/** An agent looks at its files every two seconds, and reloads its server. */
const PATIENCE_MS = 30_000;

/** Of the cluster that `matriarch up` or `matriarch machines` made in the folder. Errors: `cluster.…`. */
export async function openSite(dir: string | undefined): Promise<CertificateSite> {
  if (dir !== undefined && isMachinesFolder(dir)) return machinesSite(await openMachines(dir));
  const cluster = await openFolder(dir);
  const { paths, description } = cluster;
  return {
    cluster: description.cluster,
    authority: paths.authority,
    clientCa: paths.ca,
    proxy: paths.proxy,
    members: description.members.map(({ name, host }) => ({ name, hosts: [host], tlsDir: paths.member(name).tls })),
    ...listenersOf(cluster),
    patienceMs: PATIENCE_MS,
    inUse: async (member) => ((await askMember(cluster, member, 'GET', '/status')) as AgentStatus).self.tls,
  };
}

function listenersOf({ paths, description: { proxy } }: FolderCluster): Partial<CertificateSite> {
  if (!proxy) return {};
  return {
    listeners: [{ name: PROXY_NAME, hosts: [proxy.host], tlsDir: paths.proxyTls }],
    tellListeners() {
      const running = new AgentRegistry(paths.agents).get('proxy');
      if (running !== undefined && isAlive(running.pid, running.startTime)) kill(running.pid, 'SIGHUP');
    },
  };
}
