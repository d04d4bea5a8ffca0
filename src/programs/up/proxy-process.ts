import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { entryFile } from '#adapters/process/entry-file.ts';
import { isAlive, kill, startTimeOf } from '#adapters/process/processes.ts';
import type { ClusterPaths } from '#programs/cli/cluster-folder.ts';
import type { AgentProcess } from './agent-process.ts';
import type { Report } from './supervisor.ts';

const CLI_MAIN = fileURLToPath(entryFile(import.meta.url, '../cli/main'));
/** The name of the proxy where members have theirs: in the registry of processes, in `logs`, and in reports. */
export const PROXY = 'proxy';
/** For open transactions at the end of the cluster, which ends the servers next. */
const DRAIN_MS = 5000;
const TERM_MS = 5000;

/** Starts the proxy of a cluster in a session of its own, so that it outlives this process. */
export function startProxy(paths: ClusterPaths): AgentProcess {
  const log = openSync(paths.proxyLog, 'a', 0o600);
  try {
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PG')));
    const args = ['--disable-warning=ExperimentalWarning', CLI_MAIN, 'proxy', '--config', paths.proxyConfig];
    const child = spawn(process.execPath, args, {
      cwd: paths.proxy,
      detached: true,
      stdio: ['ignore', log, log],
      env: environment,
    });
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
    });
    child.unref();
    const pid = child.pid ?? 0;
    return { pid, startTime: startTimeOf(pid) ?? 0, ended };
  } finally {
    closeSync(log);
  }
}

/**
 * Ends the proxy before the servers, so that its clients hear of it (57P01) instead of losing their connection: first at the ends of
 * their transactions, after five seconds at once.
 */
export async function stopProxy(proxy: AgentProcess, report: Report): Promise<void> {
  for (const [signal, waitMs] of [
    ['SIGTERM', DRAIN_MS],
    ['SIGINT', TERM_MS],
    ['SIGKILL', TERM_MS],
  ] as const) {
    if (!isAlive(proxy.pid, proxy.startTime)) return;
    if (signal === 'SIGKILL') report(PROXY, 'it does not end; SIGKILL');
    kill(proxy.pid, signal);
    if (await endsWithin(proxy, waitMs)) return;
  }
}

/** The timer keeps this process alive: a process that was adopted is nobody's child, and waiting for it alone would not. */
export async function endsWithin({ ended }: Pick<AgentProcess, 'ended'>, timeoutMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, timeoutMs, false);
  void ended.then(() => resolve(true));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
