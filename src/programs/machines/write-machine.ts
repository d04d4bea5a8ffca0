import { chmod, copyFile, mkdir } from 'node:fs/promises';
import { isIP } from 'node:net';
import { stringify } from 'yaml';
import type { z } from 'zod';
import { toDiskError } from '#adapters/files/disk-errors.ts';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import { machinePaths } from '#domain/config/cluster-paths.ts';
import type { Machine, MachinesDescription } from '#domain/config/machines-description.ts';
import type { memberConfigSchema } from '#domain/config/member-config.ts';
import { issueFor, trustNow } from '#programs/certificates/trust.ts';
import type { MachinesFolder } from './machines-folder.ts';

/** Files of etcd, on the machine of whoever administers the cluster. */
export interface EtcdFiles {
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly password?: string | undefined;
}

/** The folder of one member: exactly what belongs on its machine, with the paths as they are there. Errors: `disk.…`, `tls.invalid`. */
export async function writeMachine({ paths, description }: MachinesFolder, machine: Machine, etcd: EtcdFiles): Promise<void> {
  const own = paths.machine(machine.name);
  await mkdir(own.configDir, { recursive: true, mode: 0o700 });
  await issueFor({ name: machine.name, hosts: [machine.host], tlsDir: own.tls }, await trustNow(paths));
  await copy(paths.secrets, own.secrets);
  for (const [from, to] of [
    [etcd.ca, own.etcdCa],
    [etcd.certificate, own.etcdCertificate],
    [etcd.key, own.etcdKey],
    [etcd.password, own.etcdPassword],
  ] as const)
    if (from !== undefined && from !== to) await copy(from, to);
  await writeAtomically(own.config, stringify(agentConfig(description, machine)));
}

async function copy(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to);
    await chmod(to, 0o600);
  } catch (error) {
    throw toDiskError(error, from);
  }
}

function agentConfig(description: MachinesDescription, machine: Machine): z.input<typeof memberConfigSchema> {
  const { cluster, memberDir, walDir, postgresBin, store, durability } = description;
  const there = machinePaths(description.configDir);
  const { name, host, port, apiPort } = machine;
  // A name may lead to the loopback address on the machine itself (Debian's 127.0.1.1).
  const listen = isIP(host) === 0 ? { listen: '0.0.0.0' } : {};
  return {
    cluster,
    name,
    memberDir,
    ...(walDir === undefined ? {} : { walDir }),
    host,
    port,
    ...listen,
    api: { host, port: apiPort, ...listen },
    postgresBin,
    store,
    tlsDir: there.tls,
    secretsFile: there.secrets,
    initialConfig: { durability: { mode: durability } },
  };
}
