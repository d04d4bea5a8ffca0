import type { AgentStatus } from '#domain/status.ts';
import { askMember } from '#programs/cli/ask.ts';
import { openFolder } from '#programs/cli/cluster-folder.ts';
import { isMachinesFolder, machinesSite, openMachines } from '#programs/machines/machines-folder.ts';
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
    patienceMs: PATIENCE_MS,
    inUse: async (member) => ((await askMember(cluster, member, 'GET', '/status')) as AgentStatus).self.tls,
  };
}
