import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { callApi } from '#adapters/http/call-api.ts';
import { readTlsFiles } from '#adapters/tls/tls-files.ts';
import { machinesPaths } from '#domain/config/cluster-paths.ts';
import type { MachinesDescription } from '#domain/config/machines-description.ts';
import { fail, MatriarchError } from '#domain/errors.ts';
import type { MemberName } from '#domain/member.ts';
import type { AgentStatus, TlsSummary } from '#domain/status.ts';
import type { CertificateSite } from '#programs/certificates/site.ts';
import { howToCopy } from './how-to-copy.ts';

const LOOK_TIMEOUT_MS = 3000;

export interface MachinesFolder {
  readonly paths: ReturnType<typeof machinesPaths>;
  readonly description: MachinesDescription;
}

export function isMachinesFolder(dir: string): boolean {
  return existsSync(machinesPaths(resolve(dir)).description);
}

/** Errors: `machines.notFound`, `cluster.malformed`. */
export async function openMachines(dir: string): Promise<MachinesFolder> {
  const paths = machinesPaths(resolve(dir));
  if (!existsSync(paths.description)) fail('machines.notFound', `${paths.dir} holds no machines.json`);
  const [{ validate }, { readDocument }, { machinesDescriptionSchema }] = await Promise.all([
    import('#domain/config/parse-config.ts'),
    import('#domain/config/read-document.ts'),
    import('#domain/config/machines-description.ts'),
  ]);
  try {
    const source = readDocument(readFileSync(paths.description, 'utf8'), paths.description);
    return { paths, description: validate(machinesDescriptionSchema, source.value, paths.description, source) };
  } catch (error) {
    if (error instanceof MatriarchError) fail('cluster.malformed', error.message, error);
    throw error;
  }
}

export function machinesSite({ paths, description }: MachinesFolder): CertificateSite {
  const members = description.members.map(({ name, host }) => ({ name, hosts: [host], tlsDir: paths.machine(name).tls }));
  return {
    cluster: description.cluster,
    authority: paths.authority,
    clientCa: paths.ca,
    proxy: paths.proxy,
    members,
    patienceMs: 0,
    howToCopy: howToCopy(members, description.configDir, description.user),
    inUse: (member) => askOverTls({ paths, description }, member),
  };
}

/** With the certificate of the member itself: whoever administers the cluster holds all of them. */
async function askOverTls({ paths, description }: MachinesFolder, name: MemberName): Promise<TlsSummary> {
  const machine = description.members.find((one) => one.name === name) ?? fail('member.unknown', name);
  const tls = await readTlsFiles(paths.machine(name).tls);
  const target = { host: machine.host, port: machine.apiPort, name, tls };
  const { json } = await callApi(target, 'GET', '/status', { timeoutMs: LOOK_TIMEOUT_MS });
  return (json as AgentStatus).self.tls;
}
