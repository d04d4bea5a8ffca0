import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { entryFile } from '#adapters/process/entry-file.ts';
import { fail } from '#domain/errors.ts';
import { prepareCluster } from '#programs/up/prepare-cluster.ts';
import { describeStart, runForeground, showStart } from '#programs/up/run-cluster.ts';
import { stopSignal } from '#programs/up/stop-signal.ts';
import type { UpOptions } from '#programs/up/up-options.ts';
import type { FolderCluster } from './cluster-folder.ts';
import { EXIT_CODES } from './report-error.ts';

const SUPERVISOR_MAIN = fileURLToPath(entryFile(import.meta.url, '../up/main'));

export async function up(options: UpOptions): Promise<void> {
  const cluster = await prepareCluster(options);
  const { members, postgresVersion, cluster: name } = cluster.description;
  process.stdout.write(
    `${name}: ${members.length} ${members.length === 1 ? 'member' : 'members'} with PostgreSQL ${postgresVersion} in ${cluster.paths.dir}\n`,
  );
  // A reader that went away (a closed pipe or terminal) must not end the supervisor under its cluster.
  process.stdout.removeAllListeners('error').on('error', () => {});
  if (options.detach === true) await detach(cluster);
  else await runForeground(cluster, stopSignal());
}

/** Starts the supervisor in a session of its own and shows how the cluster comes up; Ctrl-C ends the showing alone. */
async function detach(cluster: FolderCluster): Promise<void> {
  const log = openSync(cluster.paths.supervisorLog, 'w', 0o600);
  const child = spawn(process.execPath, [...process.execArgv, SUPERVISOR_MAIN, cluster.paths.dir], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  const ended = new AbortController();
  child.once('exit', () => ended.abort());
  const { outcome, document } = await showStart(cluster, ended.signal);
  if (outcome === 'aborted' || document === undefined)
    fail('cluster.notRunning', `the supervisor ended: ${readFileSync(cluster.paths.supervisorLog, 'utf8').trim()}`);
  process.stdout.write(`\n${describeStart(cluster, document, outcome)}\n`);
  if (outcome === 'standstill') process.exitCode = EXIT_CODES.timedOut;
}
