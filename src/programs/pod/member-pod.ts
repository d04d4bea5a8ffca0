import { setTimeout as sleep } from 'node:timers/promises';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import { memberPaths } from '#domain/config/cluster-paths.ts';
import { watchFiles } from '#programs/proxy/watch-files.ts';
import { limitLogs } from '#programs/up/limit-logs.ts';
import { RestartDelay } from '#programs/up/restart-delay.ts';
import { composeMember } from './compose-member.ts';
import { copyMounts, mountedFiles } from './mounted-files.ts';
import type { PodEnvironment } from './pod-environment.ts';
import type { PodPaths } from './pod-paths.ts';
import { requireVolume } from './require-volume.ts';
import { startAgent } from './start-agent.ts';
import { tightenModes } from './tighten-modes.ts';
import type { WaitingPage } from './waiting-page.ts';

export interface MemberPodOptions {
  readonly environment: PodEnvironment;
  readonly paths: PodPaths;
  readonly postgresBin: string;
  readonly healthPort: number;
  readonly log: (level: 'info' | 'warn', text: string) => void;
}

const RETRY_MS = 1000;
const LOOK_AT_LOGS_EVERY_MS = 60_000;

/**
 * The first process of a member's container: it makes of the mounts what an agent reads, follows them, and keeps the agent running.
 * Nothing that may pass ends it: with it the container would end, its server too, and Kubernetes starts a container that ended before
 * only after a while.
 */
export class MemberPod {
  readonly #options: MemberPodOptions;
  readonly #stopping = new AbortController();
  #page: WaitingPage | undefined;

  constructor(options: MemberPodOptions) {
    this.#options = options;
  }

  /** Resolves when the member has ended, because somebody called `end`. */
  async run(): Promise<void> {
    const { paths, environment, postgresBin, log } = this.#options;
    const { signal } = this.#stopping;
    for (const volume of [paths.memberDir, ...(environment.walDir === undefined ? [] : [environment.walDir])]) {
      await this.#prepare(() => requireVolume(volume));
      await this.#prepare(() => tightenModes(volume));
    }
    await this.#prepare(() => copyMounts(paths, environment.name));
    const config = composeMember(environment, paths, postgresBin);
    await this.#prepare(() => writeAtomically(paths.memberConfig, `${JSON.stringify(config, null, 2)}\n`));
    await this.#page?.close();
    if (signal.aborted) return;
    void watchFiles(
      () => mountedFiles(paths, environment.name),
      () => void copyMounts(paths, environment.name).catch((error: Error) => log('warn', error.message)),
      signal,
    );
    void this.#keepLogsSmall();
    await this.#keepAgent();
  }

  /** Hands the lead over if it leads, stops the server cleanly, and ends the agent. */
  async end(): Promise<void> {
    this.#stopping.abort();
    const { stop } = await import('#programs/cli/stop.ts');
    await stop({ config: this.#options.paths.memberConfig });
  }

  /** A Secret may come a moment after the pod, and be mended while it waits. */
  async #prepare(step: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping;
    let told = '';
    while (!signal.aborted) {
      try {
        return await step();
      } catch (error) {
        const why = (error as Error).message;
        if (why !== told) this.#options.log('warn', `the agent cannot start yet: ${why}`);
        told = why;
        // Who waits must not end because nobody can be told.
        await this.#show(why).catch((failure: Error) => this.#options.log('warn', failure.message));
      }
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** Where probes and the operator ask. */
  async #show(why: string): Promise<void> {
    const { environment, healthPort, log } = this.#options;
    if (this.#page === undefined) {
      const { WaitingPage } = await import('./waiting-page.ts');
      const host = environment.ip.includes(':') ? '::' : '0.0.0.0';
      const page = new WaitingPage({ host, port: healthPort }, (error) => log('warn', (error as Error).message));
      await page.open();
      this.#page = page;
    }
    this.#page.tell(why);
  }

  async #keepAgent(): Promise<void> {
    const { paths, log } = this.#options;
    const { signal } = this.#stopping;
    const delay = new RestartDelay();
    while (!signal.aborted) {
      const agent = startAgent(paths.memberConfig, paths.memberDir);
      const began = performance.now();
      const how = await agent.ended;
      if (signal.aborted) return;
      const waitMs = delay.after(performance.now() - began);
      log('warn', `the agent ended (${how}) and is started again${waitMs === 0 ? '' : ` in ${waitMs} ms`}`);
      await sleep(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  async #keepLogsSmall(): Promise<void> {
    const { signal } = this.#stopping;
    const { guardLog } = memberPaths(this.#options.paths.memberDir);
    while (!signal.aborted) {
      await limitLogs([guardLog]);
      await sleep(LOOK_AT_LOGS_EVERY_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }
}
