import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fchownSync, openSync, readdirSync, readFileSync, readlinkSync, renameSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isAlive,
  kill,
  killByWorkingDirectory,
  type ProcessIdentity,
  readProcess,
  resolveDirectory,
  startTimeOf,
} from '#adapters/process/processes.ts';
import { giveUp } from './job-error.ts';
import type { Layout } from './layout.ts';
import type { Owner } from './postgres-options.ts';
import { toolEnvironment } from './tool.ts';

/** How often the pid of a server that is not our child is looked at: a lost connection tells sooner. */
const WATCH_MS = 250;
const KILL_TIMEOUT_MS = 5000;

/**
 * The server's first process, whoever started it. It is spawned in a session of its own and outlives the agent; a restarted agent
 * finds it by `postmaster.pid`, its executable and its working directory. Its end is seen at once: as the exit of our child, or,
 * when it is not ours, by a connection that ends (every backend notices the postmaster's death) and a look at the pid.
 */
export class Postmaster {
  readonly #binary: string;
  readonly #layout: Layout;
  readonly #owner: Owner | undefined;
  readonly #logLimitBytes: number;
  readonly #listeners: (() => void)[] = [];
  readonly #waiters = new Set<() => void>();
  #running: ProcessIdentity | undefined;
  #child: ChildProcess | undefined;
  #watch: NodeJS.Timeout | undefined;
  #startFailure: string | undefined;

  constructor(binary: string, layout: Layout, owner: Owner | undefined, logLimitBytes: number) {
    this.#binary = binary;
    this.#layout = layout;
    this.#owner = owner;
    this.#logLimitBytes = logLimitBytes;
  }

  /** Of the server that runs. Also finds one that somebody else has started in the meantime. */
  pid(): number | undefined {
    if (this.#running === undefined) this.adopt();
    return this.#running?.pid;
  }

  onEnded(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Looks for a running server of this data directory. */
  adopt(): boolean {
    if (this.#running !== undefined) return true;
    const found = findPostmaster(this.#layout.dataDir);
    if (found === undefined) return false;
    this.#running = found;
    this.#watch = setInterval(() => this.look(), WATCH_MS);
    this.#watch.unref();
    return true;
  }

  /** Starts the server as it is configured. Nobody may run it already; its end before it is ready shows as any other end. */
  start(): void {
    this.#startFailure = undefined;
    const log = this.#openLog();
    const child = spawn(this.#binary, ['-D', this.#layout.dataDir], {
      cwd: this.#layout.memberDir,
      env: toolEnvironment(oomSettings()),
      detached: true,
      stdio: ['ignore', log, log],
      ...(this.#owner === undefined ? {} : { uid: this.#owner.uid, gid: this.#owner.gid }),
    });
    closeSync(log);
    child.unref();
    child.once('error', (error) => {
      this.#startFailure = error.message;
      this.#ended(child);
    });
    child.once('exit', () => this.#ended(child));
    this.#child = child;
    if (child.pid !== undefined) this.#running = { pid: child.pid, startTime: startTimeOf(child.pid) ?? 0 };
  }

  /** Why the program could not be executed at all. */
  get startFailure(): string | undefined {
    return this.#startFailure;
  }

  /** Something hints at its end: look now, and a few times more, since a backend may notice before the process is quite gone. */
  hint(): void {
    let left = 40;
    const again = () => {
      if (this.#running === undefined) return;
      this.look();
      if (this.#running !== undefined && left-- > 0) setTimeout(again, 5).unref();
    };
    again();
  }

  /** Notices when an adopted server is gone. */
  look(): void {
    const running = this.#running;
    if (running === undefined || this.#child !== undefined) return;
    if (!isAlive(running.pid, running.startTime)) this.#ended(undefined);
  }

  /** False when nobody runs. */
  signal(signal: NodeJS.Signals): boolean {
    const pid = this.pid();
    return pid !== undefined && kill(pid, signal);
  }

  /** Whether it takes connections by now, as its pid file says: asking costs no process, as a connection would. */
  isReady(): boolean {
    const lines = readOrUndefined(`${this.#layout.dataDir}/postmaster.pid`)?.split('\n');
    // src/include/utils/pidfile.h: LOCK_FILE_LINE_PM_STATUS, PM_STATUS_READY.
    return Number(lines?.[0]) === this.pid() && lines?.[7]?.trim() === 'ready';
  }

  /** A stopped process (SIGSTOP, a debugger) accepts connections in the kernel and never answers. */
  isFrozen(): boolean {
    const pid = this.pid();
    const state = pid === undefined ? undefined : readProcess(pid)?.state;
    return state === 'T' || state === 't';
  }

  /** Resolves with true when it has ended, with false when the time is up first. */
  waitEnd(timeoutMs: number): Promise<boolean> {
    if (this.#running === undefined) return Promise.resolve(true);
    return new Promise((resolve) => {
      const done = (ended: boolean) => {
        clearTimeout(timer);
        this.#waiters.delete(onEnd);
        resolve(ended);
      };
      const onEnd = () => done(true);
      const timer = setTimeout(() => done(false), timeoutMs);
      this.#waiters.add(onEnd);
    });
  }

  /**
   * SIGKILL for the postmaster and then for whatever else works in the data directory, until nothing is left. Backends are in
   * sessions of their own, so no signal to a group reaches them all; a stopped process dies of it too. Rejects with `failed` when
   * something survives, which only a process inside the kernel (a dead disk) does.
   */
  async killAll(): Promise<void> {
    const directory = resolveOrUndefined(this.#layout.dataDir);
    this.signal('SIGKILL');
    if (directory !== undefined) {
      const deadline = performance.now() + KILL_TIMEOUT_MS;
      for (let clear = 0; clear < 2; ) {
        clear = killByWorkingDirectory(directory) === 0 ? clear + 1 : 0;
        if (clear < 2) await sleep(clear === 1 ? 0 : 2);
        if (performance.now() > deadline) giveUp('failed', 'processes of the server survive SIGKILL: its disk does not answer');
      }
    }
    this.look();
    if (!(await this.waitEnd(KILL_TIMEOUT_MS))) giveUp('failed', 'the postmaster survives SIGKILL');
  }

  /** The children of the postmaster, with the titles that they show in ps. */
  children(): readonly { readonly pid: number; readonly title: string }[] {
    const pid = this.pid();
    if (pid === undefined) return [];
    return childPids(pid).flatMap((child) => {
      const title = readOrUndefined(`/proc/${child}/cmdline`);
      return title === undefined || title === '' ? [] : [{ pid: child, title: title.replaceAll('\0', ' ').trim() }];
    });
  }

  close(): void {
    clearInterval(this.#watch);
    this.#listeners.length = 0;
  }

  #ended(child: ChildProcess | undefined): void {
    if (child !== this.#child) return;
    clearInterval(this.#watch);
    this.#child = undefined;
    this.#running = undefined;
    for (const waiter of [...this.#waiters]) waiter();
    for (const listener of this.#listeners) listener();
  }

  #openLog(): number {
    const { logFile } = this.#layout;
    try {
      if (statSync(logFile).size > this.#logLimitBytes) renameSync(logFile, `${logFile}.1`);
    } catch {
      // There is none yet.
    }
    const log = openSync(logFile, 'a', 0o600);
    if (this.#owner !== undefined) fchownSync(log, this.#owner.uid, this.#owner.gid);
    return log;
  }
}

/**
 * The postmaster that runs in this data directory. The pid file alone proves nothing, since pids are used again: the process must
 * be a postgres that works in the directory and is no backend (those have titles).
 */
function findPostmaster(dataDir: string): ProcessIdentity | undefined {
  const pid = Number(readOrUndefined(`${dataDir}/postmaster.pid`)?.split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const directory = resolveOrUndefined(dataDir);
  const exe = readLink(`/proc/${pid}/exe`)?.replace(/ \(deleted\)$/, '');
  if (exe === undefined || basename(exe) !== 'postgres' || readLink(`/proc/${pid}/cwd`) !== directory) return undefined;
  if (readOrUndefined(`/proc/${pid}/cmdline`)?.startsWith('postgres: ') !== false) return undefined;
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

function childPids(pid: number): readonly number[] {
  const text = readOrUndefined(`/proc/${pid}/task/${pid}/children`);
  if (text !== undefined)
    return text
      .split(' ')
      .filter((field) => field !== '')
      .map(Number);
  // Kernels without CONFIG_PROC_CHILDREN.
  return readdirSync('/proc')
    .map(Number)
    .filter((candidate) => Number.isInteger(candidate) && readProcess(candidate)?.parentPid === pid);
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function resolveOrUndefined(path: string): string | undefined {
  try {
    return resolveDirectory(path);
  } catch {
    return undefined;
  }
}

/** By which the postmaster lets its backends be ended first when the agent's unit protects it (manual, section 19.4.4). */
function oomSettings(): Readonly<Record<string, string>> {
  const names = ['PG_OOM_ADJUST_FILE', 'PG_OOM_ADJUST_VALUE'] as const;
  return Object.fromEntries(names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
}
