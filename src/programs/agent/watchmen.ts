import { type Canary, startCanary } from '#adapters/process/canary.ts';
import { type Guard, startGuard } from '#adapters/process/guard.ts';
import type { HaEvent } from '#core/ha/events.ts';
import type { Secrets } from '#domain/config/cluster-description.ts';
import type { memberPaths } from '#domain/config/cluster-paths.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import type { AgentLog } from './agent-log.ts';

export interface WatchmenOptions {
  readonly config: MemberConfig;
  readonly paths: ReturnType<typeof memberPaths>;
  readonly secrets: Secrets;
  /** Where the server's Unix socket lies. */
  readonly socketDir: string;
  readonly log: AgentLog;
  readonly feed: (event: HaEvent) => void;
}

const RESTART_MS = 200;

/** The guard and the canary: two small processes that watch over the server, kept alive while the agent lives. */
export class Watchmen {
  readonly #options: WatchmenOptions;
  #guard: Guard | undefined;
  #canary: Canary | undefined;
  #stopped = false;

  constructor(options: WatchmenOptions) {
    this.#options = options;
  }

  get guardPid(): number | undefined {
    return this.#guard?.pid;
  }

  async start(): Promise<void> {
    await this.#startGuard();
  }

  setDeadline(deadline: number | null): void {
    this.#guard?.setDeadline(deadline);
  }

  setRole(role: 'primary' | 'standby' | 'none'): void {
    // It writes beside the WAL, so not before there is a server of ours.
    if (role !== 'none') this.#canary ??= this.#startCanary();
    this.#canary?.setPrimary(role === 'primary');
  }

  /** `keepServer`: the server runs on under the guard's deadline, for the next agent to adopt. */
  async stop(keepServer: boolean): Promise<void> {
    this.#stopped = true;
    await this.#canary?.stop();
    if (keepServer) this.#guard?.detach();
    else await this.#guard?.dismiss();
  }

  #startCanary(): Canary {
    const { config, paths, secrets, log, feed, socketDir } = this.#options;
    return startCanary({
      socketDirectory: socketDir,
      port: config.port,
      directories: [`${paths.data}/pg_wal`, ...(config.walDir === undefined ? [] : [paths.run])],
      login: { user: secrets.agent.name, password: secrets.agent.password, database: 'postgres' },
      runAs: config.runAs ?? null,
      onReport: ({ stuck, diskFull }) => {
        if (stuck !== null) log.warn('canary', stuck);
        if (diskFull)
          log.warn(
            'canary',
            `the disk of the write-ahead log${config.walDir === undefined ? '' : ' or that of the data'} is full`,
          );
        feed({ kind: 'canary', stuck });
      },
      onTrouble: (why) => log.warn('canary', why),
    });
  }

  async #startGuard(): Promise<void> {
    const { config, paths, log, feed } = this.#options;
    if (this.#stopped) return;
    try {
      this.#guard = await startGuard({
        dataDirectory: paths.data,
        socketPath: `${paths.run}/guard.sock`,
        logFile: paths.guardLog,
        runAs: config.runAs ?? null,
        onDead: (why) => {
          this.#guard = undefined;
          log.warn('guard', why);
          feed({ kind: 'guard', alive: false, deadline: null });
          void this.#startGuard();
        },
        onFired: () => log.warn('guard', 'the deadline passed: the guard has ended the server'),
      });
      feed({ kind: 'guard', alive: true, deadline: this.#guard.held });
    } catch (error) {
      log.error('guard', (error as Error).message);
      if (!this.#stopped) setTimeout(() => void this.#startGuard(), RESTART_MS);
    }
  }
}
