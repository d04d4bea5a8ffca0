import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { toDiskError } from '#adapters/files/disk-errors.ts';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import { type Manifest, manifestsByHand } from '#core/cluster/by-hand.ts';
import { readSecrets } from '#core/cluster/read-secrets.ts';
import type { Surroundings } from '#core/cluster/surroundings.ts';
import { MAX_INSTANCES, type PostgresCluster, parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import { readDocument } from '#domain/config/read-document.ts';
import { fail } from '#domain/errors.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { completeSecrets } from '#programs/kubernetes/complete-secrets.ts';

export interface ManifestsOptions {
  readonly namespace?: string;
  readonly instances?: number;
  readonly image: string;
  readonly storageSize?: string;
  readonly storageClass?: string;
  readonly nodePort?: number;
  readonly spec?: string;
  readonly kubernetes: string;
  readonly out?: string;
}

const FOLDERS = ['authority', 'client', 'postgresql', 'proxy'];

/** `matriarch manifests`: a cluster as YAML that runs without the operator. */
export async function manifests(name: string, options: ManifestsOptions): Promise<void> {
  const cluster = await describe(name, options);
  const surroundings: Surroundings = {
    image: options.image,
    serves: { budgets: isBefore(options.kubernetes, 21) ? 'policy/v1beta1' : 'policy/v1', podMonitors: true },
    spareMembers: MAX_INSTANCES,
  };
  const out = options.out === undefined ? undefined : resolve(options.out);
  const roles = cluster.spec.roles.map((role) => role.name);
  const known = readSecrets(name, roles, out === undefined ? [] : await secretsIn(out));
  const members = Array.from({ length: MAX_INSTANCES }, (_, ordinal) => objectNames(name).member(ordinal));
  const files = manifestsByHand(cluster, surroundings, await completeSecrets(cluster, members, known));
  if (out === undefined) process.stdout.write(files.map(toYaml).join(''));
  else await write(out, files);
}

async function describe(name: string, options: ManifestsOptions): Promise<PostgresCluster> {
  const { instances, namespace, nodePort, spec: file, storageClass, storageSize } = options;
  const given = file === undefined ? {} : await specIn(file);
  const proxy = (given.proxy ?? {}) as Readonly<Record<string, unknown>>;
  const storage = (given.storage ?? {}) as Readonly<Record<string, unknown>>;
  const cluster = parsePostgresCluster({
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec: {
      ...given,
      ...(instances === undefined ? {} : { instances }),
      storage: {
        ...storage,
        ...(storageSize === undefined ? {} : { size: storageSize }),
        ...(storageClass === undefined ? {} : { storageClass }),
      },
      proxy: { ...proxy, ...(nodePort === undefined ? {} : { service: { type: 'NodePort', nodePort } }) },
    },
  });
  for (const field of ['roles', 'databases'] as const)
    if (cluster.spec[field].length > 0)
      fail('usage.invalidArgument', `spec.${field}: only the operator keeps them; make them by SQL`);
  return cluster;
}

async function specIn(file: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readFile(file, 'utf8').catch((error: Error) => fail('config.unreadable', error.message, error));
  const { spec } = (readDocument(text, file).value ?? {}) as { readonly spec?: Readonly<Record<string, unknown>> };
  return spec ?? {};
}

/** `1.20`, `v1.32.4`. */
function isBefore(version: string, minor: number): boolean {
  return Number(/^v?1\.(\d+)/.exec(version)?.[1] ?? Infinity) < minor;
}

/** What an earlier run has drawn: passwords and the authorities stay the same for the life of a cluster. */
async function secretsIn(out: string): Promise<readonly KubeObject[]> {
  const found: KubeObject[] = [];
  for (const folder of FOLDERS.map((name) => join(out, name)).filter((path) => existsSync(path)))
    for (const file of readdirSync(folder).filter((name) => name.includes('secret')))
      found.push(
        ...parseAllDocuments(await readFile(join(folder, file), 'utf8')).map((document) => document.toJS() as KubeObject),
      );
  return found;
}

/** Aliases are left out: whoever reads the file is to see what stands there. */
function toYaml({ objects }: Manifest): string {
  return objects.map((object) => `---\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`).join('');
}

async function write(out: string, files: readonly Manifest[]): Promise<void> {
  const strangers = existsSync(out) ? readdirSync(out).filter((name) => !FOLDERS.includes(name)) : [];
  if (strangers.length > 0) fail('cluster.foreignFolder', `${out} holds ${strangers.slice(0, 3).join(', ')}`);
  try {
    await mkdir(out, { recursive: true });
    await chmod(out, 0o700);
  } catch (error) {
    throw toDiskError(error, out);
  }
  for (const file of files) {
    const path = join(out, file.path);
    if (file.objects.length === 0) {
      await rm(path, { force: true });
      continue;
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeAtomically(path, toYaml(file), { mode: file.secret ? 0o600 : 0o644 });
  }
  process.stdout.write(
    `${out} holds the cluster. \`kubectl apply -f ${join(out, 'postgresql')} -f ${join(out, 'proxy')}\` makes it; keep ${join(out, 'authority')} out of the cluster and in a safe place.\n`,
  );
}
