import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusDocument } from '#domain/status-document.ts';
import type { FolderCluster } from '#programs/cli/cluster-folder.ts';
import { paintFor } from '#programs/cli/paint.ts';
import { renderStatus } from '#programs/cli/render-status.ts';
import { Screen } from '#programs/cli/screen.ts';
import { readStatus } from '#programs/cli/status.ts';
import { warmCompileCache } from './agent-process.ts';
import { describeAccess } from './describe-access.ts';
import { headway, isComplete, news, takesWrites } from './readiness.ts';
import { stopCluster } from './stop-cluster.ts';
import { type Report, Supervisor } from './supervisor.ts';
import { SupervisorLock } from './supervisor-lock.ts';

const POLL_STARTING_MS = 200;
const POLL_RUNNING_MS = 1000;
/** Nothing has changed for so long: whoever waits is told what is missing instead of waiting on. */
const STANDSTILL_MS = 30_000;

/** What became of a start. `standstill`: nothing more happens by itself for now; the agents go on trying. */
export type Outcome = 'complete' | 'standstill' | 'aborted';

/** Shows how a cluster comes up until it is complete or makes no headway: on a terminal as a table, else a line for each news. */
export async function showStart(
  cluster: FolderCluster,
  signal: AbortSignal,
  messages: readonly string[] = [],
): Promise<{ readonly outcome: Outcome; readonly document: StatusDocument | undefined }> {
  const screen = process.stdout.isTTY ? new Screen(process.stdout) : undefined;
  let before: StatusDocument | undefined;
  let lastHeadway = performance.now();
  while (!signal.aborted) {
    const document = await readStatus(cluster);
    if (screen !== undefined) screen.paint(renderScreen(document, messages));
    else for (const line of news(before, document)) process.stdout.write(`${line}\n`);
    if (before === undefined || headway(before) !== headway(document)) lastHeadway = performance.now();
    before = document;
    if (isComplete(document)) return { outcome: 'complete', document };
    if (performance.now() - lastHeadway > STANDSTILL_MS) return { outcome: 'standstill', document };
    await sleep(POLL_STARTING_MS, undefined, { signal }).catch(() => {});
  }
  return { outcome: 'aborted', document: before };
}

function renderScreen(document: StatusDocument, messages: readonly string[]): string {
  const table = renderStatus(document, Date.now(), paintFor(process.stdout));
  return messages.length === 0 ? table : [table, '', ...messages].join('\n');
}

/** What people need once it runs, and what is missing where something is. */
export function describeStart(cluster: FolderCluster, document: StatusDocument, outcome: Outcome): string {
  if (outcome !== 'standstill') return describeAccess(cluster, document);
  const writes = takesWrites(document) ? 'takes writes, but not every member is well' : 'takes no writes yet';
  return `The cluster ${writes}; \`matriarch explain\` says what is missing. The agents go on trying.\n\n${describeAccess(cluster, document)}`;
}

/**
 * Supervises the cluster until `signal` aborts, then ends it cleanly. Errors: `cluster.alreadyUp`. `report` hears of agents that
 * ended, and of the end.
 */
export async function supervise(
  cluster: FolderCluster,
  signal: AbortSignal,
  report: Report,
  attend: () => Promise<void>,
): Promise<void> {
  const lock = await SupervisorLock.take(cluster.paths.lock, cluster.paths.lockHolder);
  try {
    await warmCompileCache();
    const supervisor = new Supervisor(cluster, report);
    supervisor.start();
    await attend();
    if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await supervisor.letGo();
    await stopCluster(cluster, supervisor, report);
  } finally {
    lock.release();
  }
}

/** In the foreground: the start, the URL, then on a terminal a table that stays fresh, until Ctrl-C. */
export async function runForeground(cluster: FolderCluster, signal: AbortSignal): Promise<void> {
  const screen = process.stdout.isTTY ? new Screen(process.stdout) : undefined;
  const messages: string[] = [];
  const report: Report = (member, text) => {
    const line = `${new Date().toISOString().slice(11, 19)} ${member}: ${text}`;
    if (screen === undefined || signal.aborted) process.stdout.write(`${line}\n`);
    else messages.splice(0, messages.length, ...messages.slice(-4), line);
  };
  await supervise(cluster, signal, report, async () => {
    const { outcome, document } = await showStart(cluster, signal, messages);
    if (document === undefined || signal.aborted) return;
    process.stdout.write(`\n${describeStart(cluster, document, outcome)}\n\n`);
    await watch(cluster, signal, screen, messages, document);
    process.stdout.write(`\nEnding ${cluster.description.cluster}: standbys first, the primary last …\n`);
  });
  process.stdout.write(`${cluster.description.cluster} has ended. \`matriarch up\` brings it back.\n`);
}

async function watch(
  cluster: FolderCluster,
  signal: AbortSignal,
  screen: Screen | undefined,
  messages: readonly string[],
  first: StatusDocument,
): Promise<void> {
  let before = first;
  while (!signal.aborted) {
    const document = await readStatus(cluster);
    if (screen !== undefined) screen.paint(renderScreen(document, messages));
    else for (const line of news(before, document)) process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
    before = document;
    await sleep(POLL_RUNNING_MS, undefined, { signal }).catch(() => {});
  }
}
