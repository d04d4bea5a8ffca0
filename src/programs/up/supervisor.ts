import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FolderCluster } from '#programs/cli/cluster-folder.ts';
import { type AgentProcess, adoptAgent, startAgent } from './agent-process.ts';
import { AgentRegistry } from './agent-registry.ts';
import { limitLogs } from './limit-logs.ts';
import { PROXY, startProxy } from './proxy-process.ts';
import { RestartDelay } from './restart-delay.ts';

export type Report = (member: string, text: string) => void;

const LOOK_AT_LOGS_EVERY_MS = 60_000;
/** After so many deaths in a row, each soon after the start, people are told to look at the log, once. */
const HOPELESS = 5;

/** A process that is kept running. `what`: how reports call it. */
interface Kept {
  readonly name: string;
  readonly what: string;
  readonly log: string;
  readonly start: () => AgentProcess;
  readonly runs: (agent: AgentProcess | undefined) => void;
}

/** Keeps one agent a member and the proxy running: adopts those that run, starts the others, and starts again whoever ends. */
export class Supervisor {
  readonly agents = new Map<string, AgentProcess>();
  #proxy: AgentProcess | undefined;
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

  /** Undefined when there is none, or none at this moment. */
  get proxy(): AgentProcess | undefined {
    return this.#proxy;
  }

  start(): void {
    const { description, paths } = this.#cluster;
    for (const { name } of description.members) this.#loops.push(this.#keep(this.#agentOf(name)));
    if (description.proxy)
      this.#loops.push(
        this.#keep({
          name: PROXY,
          what: 'it',
          log: paths.proxyLog,
          start: () => startProxy(paths),
          runs: (proxy) => {
            this.#proxy = proxy;
          },
        }),
      );
    this.#loops.push(this.#keepLogsSmall());
  }

  /** From now on nobody is started again. The agents run on. */
  async letGo(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#loops);
  }

  #agentOf(name: string): Kept {
    const { memberDir, agentLog } = this.#cluster.paths.member(name);
    const runs = (agent: AgentProcess | undefined) => {
      if (agent === undefined) this.agents.delete(name);
      else this.agents.set(name, agent);
    };
    return { name, what: 'its agent', log: agentLog, start: () => startAgent(memberDir), runs };
  }

  async #keep({ name, what, log, start, runs }: Kept): Promise<void> {
    const { signal } = this.#stopping;
    const delay = new RestartDelay();
    let agent = adoptAgent(this.#registry.get(name));
    if (agent !== undefined) this.#report(name, `${what} ran on as process ${agent.pid}`);
    while (!signal.aborted) {
      if (agent === undefined) {
        agent = start();
        await this.#registry.set(name, agent);
      }
      runs(agent);
      const began = performance.now();
      const how = await Promise.race([agent.ended, aborted(signal)]);
      if (how === undefined) return;
      runs(undefined);
      agent = undefined;
      const waitMs = delay.after(performance.now() - began);
      if (delay.failures < HOPELESS) this.#report(name, `${what} ended (${await why(log, how)})`);
      if (delay.failures === HOPELESS)
        this.#report(name, `${what} ends again and again (${how}); \`matriarch logs ${name}\` says why`);
      await sleep(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  async #keepLogsSmall(): Promise<void> {
    const { signal } = this.#stopping;
    const { paths, description } = this.#cluster;
    while (!signal.aborted) {
      await limitLogs([paths.proxyLog]);
      for (const { name } of description.members) {
        const { agentLog, guardLog } = paths.member(name);
        await limitLogs([agentLog, guardLog]);
      }
      await sleep(LOOK_AT_LOGS_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }
}

/** Whoever ends by an error says so in its last lines. */
async function why(log: string, how: string): Promise<string> {
  const error = await lastError(log);
  return error === undefined ? how : `${how}, ${error}`;
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
