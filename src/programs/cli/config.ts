import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import { parseClusterConfig, parseClusterConfigText } from '#domain/config/parse-config.ts';
import { fail, MatriarchError } from '#domain/errors.ts';
import { askAnyone } from './ask.ts';
import type { Cluster } from './cluster.ts';
import { applyChanges, describeChanges } from './config-changes.ts';
import { openCluster, type Where } from './open-cluster.ts';

interface VersionedConfig {
  readonly version: number;
  readonly config: ClusterConfig;
}

/** How often a change is made anew when somebody else's came in between. */
const ATTEMPTS = 5;

async function read(cluster: Cluster): Promise<VersionedConfig> {
  const { version, config } = (await askAnyone(cluster, 'GET', '/config')) as {
    readonly version: number;
    readonly config: unknown;
  };
  return { version, config: parseClusterConfig(config, 'configuration of the cluster') };
}

async function write(cluster: Cluster, version: number, config: ClusterConfig): Promise<void> {
  checkCount(cluster, config);
  await askAnyone(cluster, 'PUT', '/config', { body: { version, config } });
}

/** The schema knows nothing of the members: more confirmations than standbys would let no commit end, for ever. */
function checkCount({ members }: Cluster, { durability: { mode, count } }: ClusterConfig): void {
  if (mode !== 'async' && count >= members.length)
    fail('config.invalid', `durability.count: ${count} confirmations need ${count + 1} members; there are ${members.length}`);
}

export async function showConfig({ output, ...where }: Where & { readonly output: 'yaml' | 'json' }): Promise<void> {
  const { config } = await read(await openCluster(where));
  process.stdout.write(output === 'json' ? `${JSON.stringify(config, null, 2)}\n` : stringify(config));
}

export async function setConfig(changes: readonly string[], where: Where): Promise<void> {
  const cluster = await openCluster(where);
  for (let attempt = 1; ; attempt++) {
    const before = await read(cluster);
    const after = parseClusterConfig(applyChanges(before.config, changes, parseValue), 'config set');
    const differences = describeChanges(before.config, after);
    try {
      if (differences.length > 0) await write(cluster, before.version, after);
      process.stdout.write(`${differences.join('\n') || 'Nothing to change.'}\n`);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || !(error instanceof MatriarchError && error.code === 'config.conflict')) throw error;
    }
  }
}

/** `15s` is text, `10` a number, `true` a truth value, `"on"` text again. */
function parseValue(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch {
    return text;
  }
}

/** What was typed is never lost: when it is refused, the message names the file that holds it. */
export async function editConfig(where: Where): Promise<void> {
  const cluster = await openCluster(where);
  const before = await read(cluster);
  const folder = await mkdtemp(join(tmpdir(), 'matriarch-config-'));
  const file = join(folder, 'config.yaml');
  await writeFile(file, stringify(before.config), { mode: 0o600 });
  await runEditor(file);
  const after = parseClusterConfigText(await readFile(file, 'utf8'), file);
  const differences = describeChanges(before.config, after);
  if (differences.length > 0) {
    await write(cluster, before.version, after).catch((error: unknown) => {
      if (error instanceof MatriarchError) fail(error.code, `${error.message}; your text is kept in ${file}`, error);
      throw error;
    });
  }
  await rm(folder, { recursive: true });
  process.stdout.write(`${differences.join('\n') || 'Nothing was changed.'}\n`);
}

/** VISUAL and EDITOR may bring arguments (`code --wait`), so a shell takes them apart. */
async function runEditor(file: string): Promise<void> {
  const editor = process.env.VISUAL || process.env.EDITOR || 'vi';
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
  child.once('error', reject);
  child.once('exit', resolve);
  const code = await promise;
  if (code !== 0)
    fail('config.unreadable', `the editor (${editor}) ended with ${code}; nothing was changed, your text is kept in ${file}`);
}
