import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { findByWorkingDirectory, isAlive, kill, killByWorkingDirectory, resolveDirectory } from '#adapters/process/processes.ts';
import { fail } from '#domain/errors.ts';
import { askEveryone, askMember, leaderOf } from '#programs/cli/ask.ts';
import type { FolderCluster } from '#programs/cli/cluster-folder.ts';
import type { AgentProcess } from './agent-process.ts';
import { endsWithin, stopProxy } from './proxy-process.ts';
import type { Report } from './supervisor.ts';

/** For one agent and its server to end by themselves: a checkpoint of much dirty memory takes its time. */
const CLEAN_END_MS = 60_000;
const TERM_MS = 10_000;
const LAST_BREATH_MS = 500;
const SERVER_END_MS = 30_000;
const LOOK_EVERY_MS = 50;

/**
 * Ends the proxy, every agent and every server of the cluster. The proxy first, so that its clients hear of the end; then the standbys first, all at once; the leader last, so that whatever it acknowledged
 * is on it, and it leads again when the cluster comes back. Nothing of the cluster runs when this resolves.
 */
export async function stopCluster(
  cluster: FolderCluster,
  { agents, proxy }: { readonly agents: ReadonlyMap<string, AgentProcess>; readonly proxy: AgentProcess | undefined },
  report: Report,
): Promise<void> {
  if (proxy !== undefined) await stopProxy(proxy, report);
  const statuses = (await askEveryone(cluster)).flatMap((answer) => (answer.ok ? [answer.status] : []));
  const leader = leaderOf(statuses);
  const standbys = [...agents].filter(([name]) => name !== leader);
  await Promise.all(standbys.map(([name, agent]) => stopAgent(cluster, name, agent, report)));
  const last = leader === undefined ? undefined : agents.get(leader);
  if (leader !== undefined && last !== undefined) await stopAgent(cluster, leader, last, report);
  for (const { name } of cluster.description.members) await stopServer(cluster.paths.member(name).data, name, report);
}

async function stopAgent(cluster: FolderCluster, name: string, agent: AgentProcess, report: Report): Promise<void> {
  report(name, 'stopping');
  const refusal = await Promise.race([endsWithin(agent, CLEAN_END_MS), refusalOf(cluster, name)]);
  if (refusal !== true) await endByForce(name, agent, refusal === false ? 'it takes too long' : refusal, report);
  report(name, 'stopped');
}

/** Asks the agent to end; resolves only when it will not. It may end before it has answered: its end is what counts. */
function refusalOf(cluster: FolderCluster, name: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  askMember(cluster, name, 'POST', '/shutdown', { body: { handOver: false }, timeoutMs: CLEAN_END_MS }).catch((error: Error) =>
    // Its last breath may be a broken connection; whoever has really refused is still there a moment later.
    setTimeout(resolve, LAST_BREATH_MS, error.message),
  );
  return promise;
}

/** An agent that cannot be asked is told by a signal; one that is frozen, without asking. Its guard ends its server. */
async function endByForce(name: string, agent: AgentProcess, why: string, report: Report): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isAlive(agent.pid, agent.startTime)) return;
    report(name, `its agent does not end (${why}); ${signal}`);
    kill(agent.pid, signal);
    if (await endsWithin(agent, TERM_MS)) return;
  }
}

/** A server that no agent stopped: a fast stop, then SIGKILL for all of its processes. */
export async function stopServer(folder: string, name: string, report: Report): Promise<void> {
  if (!existsSync(folder)) return;
  const data = resolveDirectory(folder);
  const [postmaster] = findByWorkingDirectory(data);
  if (postmaster === undefined) return;
  report(name, 'its PostgreSQL runs without an agent; stopping it');
  kill(postmaster.pid, 'SIGINT');
  if (await emptied(data, SERVER_END_MS)) return;
  report(name, 'its PostgreSQL does not stop; SIGKILL');
  killByWorkingDirectory(data);
  if (!(await emptied(data, TERM_MS, () => killByWorkingDirectory(data))))
    fail('disk.failed', `the PostgreSQL of ${name} (process ${postmaster.pid}) survives SIGKILL: its disk does not answer`);
}

async function emptied(data: string, timeoutMs: number, again: () => void = () => {}): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (findByWorkingDirectory(data).length > 0) {
    if (performance.now() > deadline) return false;
    again();
    await sleep(LOOK_EVERY_MS);
  }
  return true;
}
