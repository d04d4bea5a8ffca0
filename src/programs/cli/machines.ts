import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { toDiskError } from '#adapters/files/disk-errors.ts';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import { writeJson } from '#adapters/files/write-json.ts';
import { createAuthority } from '#adapters/tls/authority.ts';
import { writeAuthority } from '#adapters/tls/tls-files.ts';
import { machinePaths, machinesPaths } from '#domain/config/cluster-paths.ts';
import { type Machine, type MachinesDescription, machinesDescriptionSchema } from '#domain/config/machines-description.ts';
import { initialClusterConfig, validate } from '#domain/config/parse-config.ts';
import { fail } from '#domain/errors.ts';
import { suggest } from '#domain/suggest.ts';
import { issueForProxies, keepProxies } from '#programs/certificates/proxy-trust.ts';
import { trustNow } from '#programs/certificates/trust.ts';
import { readMachine } from '#programs/machines/machine-address.ts';
import { type MachinesFolder, machinesSite, openMachines } from '#programs/machines/machines-folder.ts';
import { type EtcdFiles, writeMachine } from '#programs/machines/write-machine.ts';
import { drawSecrets } from '#programs/up/draw-secrets.ts';
import { findPostgres } from '#programs/up/find-postgres.ts';

export interface InitOptions {
  readonly dir: string;
  readonly name: string;
  readonly member: readonly string[];
  readonly etcd: string;
  readonly etcdCa?: string;
  readonly etcdCertificate?: string;
  readonly etcdKey?: string;
  readonly etcdUser?: string;
  readonly etcdPasswordFile?: string;
  readonly etcdPlaintext?: boolean;
  readonly postgresBin?: string;
  readonly durability?: MachinesDescription['durability'];
  readonly memberDir: string;
  readonly walDir?: string;
  readonly configDir: string;
  readonly user: string;
}

const say = (text: string) => process.stdout.write(`${text}\n`);

/** Makes the files of a new cluster. Touches nothing but the folder, which must be empty or not there. */
export async function initMachines(options: InitOptions): Promise<void> {
  const paths = machinesPaths(resolve(options.dir));
  const description = describe(options, options.postgresBin ?? (await findPostgres(undefined)).bin);
  if (existsSync(paths.dir) && readdirSync(paths.dir).length > 0) fail('cluster.foreignFolder', `${paths.dir} is not empty`);
  const folder: MachinesFolder = { paths, description };
  try {
    await mkdir(paths.dir, { recursive: true, mode: 0o700 });
    await chmod(paths.dir, 0o700);
    const authority = await createAuthority({ cluster: description.cluster });
    await writeAuthority(paths.authority, authority);
    await writeAtomically(paths.ca, authority.certificate, { mode: 0o644 });
    await writeJson(paths.secrets, drawSecrets());
    for (const machine of description.members) await writeMachine(folder, machine, filesOf(options));
    await issueForProxies(machinesSite(folder), { issuer: authority, bundle: authority.certificate });
    await writeJson(paths.description, description);
  } catch (error) {
    // A half-made folder would be taken for somebody else's by the next try.
    for (const name of existsSync(paths.dir) ? readdirSync(paths.dir) : [])
      await rm(join(paths.dir, name), { recursive: true, force: true });
    throw toDiskError(error, paths.dir);
  }
  say(
    `${paths.dir} holds the files of ${description.members.length} ${description.members.length === 1 ? 'machine' : 'machines'}. ${copyTo(folder, description.members)}`,
  );
  say(`Keep ${paths.dir} in a safe place: it holds the authority and the passwords of the cluster.`);
}

function describe(options: InitOptions, postgresBin: string): MachinesDescription {
  const members = options.member.map(readMachine);
  for (const [index, { name }] of members.entries())
    if (members.findIndex((one) => one.name === name) < index) fail('usage.invalidArgument', `--member ${name} is there twice`);
  const { mode } = initialClusterConfig(members.length, options.durability).durability;
  const there = machinePaths(options.configDir);
  const given = filesOf(options);
  const store = {
    kind: 'etcd',
    endpoints: options.etcd.split(',').map((endpoint) => endpoint.trim()),
    ...(options.etcdPlaintext === true ? { plaintext: true } : {}),
    ...(given.ca === undefined ? {} : { caFile: there.etcdCa }),
    ...(given.certificate === undefined ? {} : { certificateFile: there.etcdCertificate }),
    ...(given.key === undefined ? {} : { keyFile: there.etcdKey }),
    ...(options.etcdUser === undefined ? {} : { user: options.etcdUser }),
    ...(given.password === undefined ? {} : { passwordFile: there.etcdPassword }),
  };
  const { name: cluster, memberDir, walDir, configDir, user } = options;
  const createdAt = new Date().toISOString();
  const description = {
    version: 1,
    cluster,
    createdAt,
    postgresBin,
    memberDir,
    ...(walDir === undefined ? {} : { walDir }),
    configDir,
    user,
    store,
    durability: mode,
    members,
  };
  return validate(machinesDescriptionSchema, description, 'machines init');
}

function filesOf({ etcdCa, etcdCertificate, etcdKey, etcdPasswordFile }: InitOptions): EtcdFiles {
  return { ca: etcdCa, certificate: etcdCertificate, key: etcdKey, password: etcdPasswordFile };
}

/** One more machine. Its member clones itself from the leader when its agent starts. */
export async function addMachine(text: string, { dir }: { readonly dir: string }): Promise<void> {
  const folder = await openMachines(dir);
  const machine = readMachine(text);
  const { members } = folder.description;
  if (members.some(({ name }) => name === machine.name))
    fail('request.refused', `${machine.name} is there already; \`matriarch machines address\` changes its address`);
  await writeMachine(folder, machine, etcdFilesOf(folder));
  const joined = { ...folder, description: { ...folder.description, members: [...members, machine] } };
  await keepProxies(machinesSite(joined), await trustNow(folder.paths));
  await writeJson(folder.paths.description, joined.description);
  say(copyTo(folder, [machine]));
  say(`Then start its agent: it joins by itself, and clones from the leader.`);
}

/** A member moves: a certificate for its new address, and its configuration. */
export async function moveMachine(text: string, { dir }: { readonly dir: string }): Promise<void> {
  const folder = await openMachines(dir);
  const machine = readMachine(text);
  const { members } = folder.description;
  const names = members.map(({ name }) => name);
  if (!names.includes(machine.name))
    fail('member.unknown', `${folder.description.cluster} has no member ${machine.name}${suggest(machine.name, names)}`);
  await writeMachine(folder, machine, etcdFilesOf(folder));
  const moved = members.map((one) => (one.name === machine.name ? machine : one));
  await writeJson(folder.paths.description, { ...folder.description, members: moved });
  say(`On the machine of ${machine.name}: \`systemctl stop matriarch\`. ${copyTo(folder, [machine])}`);
  say('Then `systemctl start matriarch` there. The others learn the new address by themselves.');
}

/** After `matriarch stop` on its machine and `matriarch forget`. Its certificate is valid until it runs out or the authority is rotated. */
export async function removeMachine(name: string, { dir }: { readonly dir: string }): Promise<void> {
  const { paths, description } = await openMachines(dir);
  const names = description.members.map((one) => one.name);
  if (!names.includes(name)) fail('member.unknown', `${description.cluster} has no member ${name}${suggest(name, names)}`);
  if (names.length === 1) fail('request.refused', `${name} is the last member`);
  await writeJson(paths.description, { ...description, members: description.members.filter((one) => one.name !== name) });
  await rm(paths.machine(name).configDir, { recursive: true, force: true });
  say(
    `The files of ${name} are gone. \`matriarch certificates rotate\` makes the certificate worthless that its machine may still hold.`,
  );
}

/** The files of etcd are the same for every member: those of the first one are copied. */
function etcdFilesOf({ paths, description }: MachinesFolder): EtcdFiles {
  const first = paths.machine(description.members[0]?.name ?? '');
  const found = (path: string) => (existsSync(path) ? path : undefined);
  return {
    ca: found(first.etcdCa),
    certificate: found(first.etcdCertificate),
    key: found(first.etcdKey),
    password: found(first.etcdPassword),
  };
}

function copyTo(folder: MachinesFolder, machines: readonly Machine[]): string {
  return machinesSite({ ...folder, description: { ...folder.description, members: [...machines] } }).howToCopy ?? '';
}
