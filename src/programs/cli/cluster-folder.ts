import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ClusterDescription, ConnectionUrls, Secrets } from '#domain/config/cluster-description.ts';
import { clusterPaths } from '#domain/config/cluster-paths.ts';
import { fail, MatriarchError } from '#domain/errors.ts';
import type { Cluster } from './cluster.ts';

export type ClusterPaths = ReturnType<typeof clusterPaths>;

/** A whole cluster of this machine: its folder and what `matriarch up` made there. */
export interface FolderCluster extends Cluster {
  readonly paths: ClusterPaths;
  readonly description: ClusterDescription;
}

/** The folder that holds the clusters which nobody gave a place: one below it for each name. */
function baseFolder(): string {
  if (process.getuid?.() === 0) return '/var/lib/matriarch';
  return join(process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'matriarch');
}

/** `--dir`, MATRIARCH_DIR, or the folder of the cluster of that name. */
export function clusterFolder(dir: string | undefined, name = 'main'): string {
  return dir === undefined ? join(baseFolder(), name) : resolve(dir);
}

export function isClusterFolder(dir: string): boolean {
  return existsSync(clusterPaths(dir).description);
}

/** Throws `cluster.notFound`, which names the clusters that do exist in the default place, or `cluster.malformed`. */
export async function openFolder(dir: string | undefined, alternative = ''): Promise<FolderCluster> {
  const paths = clusterPaths(clusterFolder(dir));
  const text = readOwn(paths.description);
  if (text === undefined) fail('cluster.notFound', `${paths.dir} holds no cluster${alternative}.${others(dir)}`);
  return folderCluster(paths, await readDescription(text, paths.description));
}

/** Every agent is reached through the Unix socket in the folder of its member. */
export function folderCluster(paths: ClusterPaths, description: ClusterDescription): FolderCluster {
  return {
    paths,
    description,
    name: description.cluster,
    members: description.members.map(({ name, host, port, apiPort }) => ({ name, host, port, api: `${host}:${apiPort}` })),
    proxy: description.proxy ?? null,
    proxyLog: description.proxy ? paths.proxyLog : null,
    postgresBin: description.postgresBin,
    caFile: paths.ca,
    passwordsFile: paths.connection,
    target: async (member) => ({ socketPath: paths.member(member).socket }),
    connection: () => readConnectionUrls(paths.connection),
    folderOf: paths.member,
  };
}

async function readDescription(text: string, place: string): Promise<ClusterDescription> {
  // Loaded here, since most of the time that `matriarch --help` takes would otherwise be the schema library's.
  const [{ validate }, { readDocument }, { clusterDescriptionSchema }] = await Promise.all([
    import('#domain/config/parse-config.ts'),
    import('#domain/config/read-document.ts'),
    import('#domain/config/cluster-description.ts'),
  ]);
  try {
    const source = readDocument(text, place);
    return validate(clusterDescriptionSchema, source.value, place, source);
  } catch (error) {
    if (error instanceof MatriarchError) fail('cluster.malformed', error.message, error);
    throw error;
  }
}

function others(dir: string | undefined): string {
  if (dir !== undefined) return '';
  const base = baseFolder();
  const found = existsSync(base) ? readdirSync(base).filter((name) => isClusterFolder(join(base, name))) : [];
  return found.length === 0 ? '' : ` There are: ${found.map((name) => `--dir ${join(base, name)}`).join(', ')}.`;
}

/** Errors: `cluster.malformed`, `disk.…`. */
export function readSecrets(file: string): Secrets {
  const text = readOwn(file);
  if (text === undefined) fail('cluster.malformed', `${file} is missing`);
  return JSON.parse(text) as Secrets;
}

/** Undefined when the file does not exist. Throws `disk.denied` when it may not be read. */
function readOwn(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    fail(code === 'EACCES' ? 'disk.denied' : 'disk.failed', message, error);
  }
}

function readConnectionUrls(file: string): ConnectionUrls | undefined {
  try {
    const urls = JSON.parse(readFileSync(file, 'utf8')) as ConnectionUrls;
    // Written before there were proxies.
    return { ...urls, direct: urls.direct ?? urls.readWrite };
  } catch {
    return undefined;
  }
}
