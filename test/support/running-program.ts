import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { readProcess } from '#adapters/process/processes.ts';

const PATIENCE_MS = 60_000;
const POLL_MS = 20;
const TAIL_CHARS = 8000;

export interface ProgramOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the user of this process. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Asks it to end at once. Default: SIGTERM. */
  readonly endSignal?: NodeJS.Signals;
}

/** A server of somebody's that runs in the foreground, as a test or a bench starts it. */
export class RunningProgram {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #endSignal: NodeJS.Signals;
  #said = '';

  constructor(program: string, args: readonly string[], options: ProgramOptions) {
    const { cwd, env, owner, endSignal = 'SIGTERM' } = options;
    this.#name = program.slice(program.lastIndexOf('/') + 1);
    this.#endSignal = endSignal;
    this.#child = spawn(program, args, {
      cwd,
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(owner === undefined ? {} : { uid: owner.uid, gid: owner.gid }),
    });
    const hear = (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk}`.slice(-TAIL_CHARS);
    };
    this.#child.stdout?.on('data', hear);
    this.#child.stderr?.on('data', hear);
    this.#child.on('error', (error) => hear(Buffer.from(error.message)));
    // Whoever is interrupted leaves nothing running: PostgreSQL and its peers take their children along on this one.
    const quit = () => this.#child.kill('SIGQUIT');
    process.once('exit', quit);
    this.#child.once('exit', () => process.off('exit', quit));
  }

  /** 0 when it could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The last of what it said, for a failure. */
  get said(): string {
    return this.#said;
  }

  /** Resolves when `probe` does. Errors: it ended, or a minute went by. */
  async until(probe: () => Promise<unknown>): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        await probe();
        return;
      } catch (error) {
        if (this.ended) throw new Error(`${this.#name} has ended: ${this.#said}`);
        if (performance.now() > deadline) throw new Error(`waited in vain for ${this.#name}: ${error}: ${this.#said}`);
      }
      await sleep(POLL_MS);
    }
  }

  untilListening(host: string, port: number): Promise<void> {
    return this.until(async () => {
      const socket = connect(port, host);
      try {
        await once(socket, 'connect');
      } finally {
        socket.destroy();
      }
    });
  }

  /** By its signal, and after 10 s by SIGKILL. */
  async end(): Promise<void> {
    if (this.ended) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill(this.#endSignal);
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await exit;
    clearTimeout(kill);
  }
}

/** The process and all below it. */
export function familyOf(pid: number, all: readonly number[]): readonly number[] {
  const parents = new Map(all.map((one) => [one, readProcess(one)?.parentPid]));
  const family = [pid];
  for (const member of family) for (const [child, parent] of parents) if (parent === member) family.push(child);
  return family;
}
