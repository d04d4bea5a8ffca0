import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FolderCluster } from '#programs/cli/cluster-folder.ts';
import { type AgentProcess, adoptAgent, startAgent } from './agent-process.ts';
import { AgentRegistry } from './agent-registry.ts';
import { limitLogs } from './limit-logs.ts';
import { RestartDelay } from './restart-delay.ts';

export type Report = (member: string, text: string) => void;

const LOOK_AT_LOGS_EVERY_MS = 60_000;
/** After so many deaths in a row, each soon after the start, people are told to look at the log, once. */
const HOPELESS = 5;

/** Keeps one agent a member running: adopts those that run, starts the others, and starts again whoever ends. */
export class Supervisor {
  readonly agents = new Map<string, AgentProcess>();
  readonly #cluster: FolderCluster;
  readonly #registry: AgentRegistry;
  readonly #report: Report;
  readonly #stopping = new AbortController();
  readonly #loops: Promise<void>[] = [];

  constructor(cluster: FolderCluster, report: Report) {
    this.#cluster = cluster;
    this.#registry = new AgentRegistry(cluster.paths.agents);
    this.#report = report;
  }

  start(): void {
    for (const { name } of this.#cluster.description.members) this.#loops.push(this.#keep(name));
    this.#loops.push(this.#keepLogsSmall());
  }

  /** From now on nobody is started again. The agents run on. */
  async letGo(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#loops);
  }

  async #keep(member: string): Promise<void> {
    const { signal } = this.#stopping;
    const delay = new RestartDelay();
    let agent = adoptAgent(this.#registry.get(member));
    if (agent !== undefined) this.#report(member, `its agent ran on as process ${agent.pid}`);
    while (!signal.aborted) {
      if (agent === undefined) {
        agent = startAgent(this.#cluster.paths.member(member).memberDir);
        await this.#registry.set(member, agent);
      }
      this.agents.set(member, agent);
      const began = performance.now();
      const how = await Promise.race([agent.ended, aborted(signal)]);
      if (how === undefined) return;
      this.agents.delete(member);
      agent = undefined;
      const waitMs = delay.after(performance.now() - began);
      if (delay.failures < HOPELESS) this.#report(member, `its agent ended (${await this.#why(member, how)})`);
      if (delay.failures === HOPELESS)
        this.#report(member, `its agent ends again and again (${how}); \`matriarch logs ${member}\` says why`);
      await sleep(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  /** An agent that ends by an error says so in its last lines. */
  async #why(member: string, how: string): Promise<string> {
    const error = await lastError(this.#cluster.paths.member(member).agentLog);
    return error === undefined ? how : `${how}, ${error}`;
  }

  async #keepLogsSmall(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      for (const { name } of this.#cluster.description.members) await limitLogs(this.#cluster.paths.member(name));
      await sleep(LOOK_AT_LOGS_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }
}

async function lastError(log: string): Promise<string | undefined> {
  const text = await readFile(log, 'utf8').catch(() => '');
  return text
    .slice(-4096)
    .split('\n')
    .slice(-8)
    .findLast((line) => line.startsWith('matriarch: '))
    ?.slice('matriarch: '.length);
}

function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
}
