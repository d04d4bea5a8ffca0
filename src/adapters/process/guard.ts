import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fail, MatriarchError } from '#domain/errors.ts';
import { toDiskError } from '../files/disk-errors.ts';
import { checkSocketPath } from '../http/unix-socket.ts';
import { entryFile } from './entry-file.ts';
import { EventLoopDelay } from './event-loop-delay.ts';
import { toMachineMs } from './monotonic.ts';
import { isAlive, kill, type ProcessIdentity, resolveDirectory } from './processes.ts';

/** What the guard is told at its start. No secret: it stands in the list of processes. */
export interface GuardSettings {
  /** The data directory, resolved. */
  readonly directory: string;
  /** The file name of the server's program: `postgres`. */
  readonly executable: string;
  readonly socketPath: string;
  readonly pidFile: string;
  readonly runAs: { readonly uid: number; readonly gid: number } | null;
}

export interface GuardOptions {
  readonly dataDirectory: string;
  /** In a folder that the server's user may write to; `SOCKET.pid` is put beside it. At most 107 bytes. */
  readonly socketPath: string;
  /** Lines of JSON as the agent's log has. */
  readonly logFile: string;
  /** The server's user, when this process is root: as root without CAP_SYS_PTRACE, in most containers, it would not see the server. */
  readonly runAs: { readonly uid: number; readonly gid: number } | null;
  /** Default `postgres`. */
  readonly executable?: string;
  /** It died, or does not answer (and was then killed). Called once; this object is of no more use. */
  onDead(why: string): void;
  /** The deadline passed; the server and all its backends are gone. */
  onFired(): void;
}

export interface Guard {
  readonly pid: number;
  /** The deadline that it held when it was found, by performance.now(): an earlier run of the agent had proven so much. */
  readonly held: number | null;
  /**
   * The server is ended at this time of performance.now(), less the delay of this process's event loop; null: it holds no deadline.
   * Deadlines only grow: an earlier one than before is taken as the one before.
   */
  setDeadline(deadline: number | null): void;
  /** Drops the connection. The guard goes on, with its deadline: for an agent that ends and leaves its server running. */
  detach(): void;
  /** Tells the guard to end, which it does without ending the server. Resolves when it is gone. */
  dismiss(): Promise<void>;
}

/** A guard that confirms nothing for so long is stopped, or as good as dead. */
const ANSWER_TIMEOUT_MS = 1000;
const START_TIMEOUT_MS = 5000;
const ATTEMPTS = 3;

/**
 * Finds the guard of the data directory, or starts it: an earlier run of the agent may have left one, with a deadline that runs. One
 * that does not answer is killed and replaced. Errors: `guard.failed`, `folder.pathTooLong`, `disk.*`.
 */
export async function startGuard(options: GuardOptions): Promise<Guard> {
  checkSocketPath(options.socketPath);
  let why: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const found = await meet(options.socketPath);
    if (found !== undefined) return new ConnectedGuard(found, options);
    // One that is there and does not answer, or whose socket somebody removed.
    await endPrevious(`${options.socketPath}.pid`);
    await spawnGuard(options).catch((error) => {
      if (error instanceof MatriarchError && error.code.startsWith('disk.')) throw error;
      why = error;
    });
  }
  const found = await meet(options.socketPath);
  return found === undefined
    ? fail('guard.failed', String(why ?? 'it does not answer'), why)
    : new ConnectedGuard(found, options);
}

interface Met {
  readonly socket: Socket;
  /** What it holds already, by the machine's clock. */
  readonly held: number | null;
  readonly identity: ProcessIdentity;
}

class ConnectedGuard implements Guard {
  readonly held: number | null;
  readonly #socket: Socket;
  readonly #identity: ProcessIdentity;
  readonly #options: GuardOptions;
  readonly #delay = new EventLoopDelay();
  #latest = Number.NEGATIVE_INFINITY;
  #sequence = 0;
  #confirmed = 0;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor({ socket, identity, held }: Met, options: GuardOptions) {
    this.held = held === null ? null : held - toMachineMs(0);
    this.#socket = socket;
    this.#identity = identity;
    this.#options = options;
    readLines(socket, (line) => this.#onLine(line));
    socket.on('close', () => this.#die('the guard is gone'));
  }

  get pid(): number {
    return this.#identity.pid;
  }

  setDeadline(deadline: number | null): void {
    if (this.#over) return;
    this.#sequence += 1;
    if (deadline === null) {
      this.#latest = Number.NEGATIVE_INFINITY;
      this.#socket.write(`none ${this.#sequence}\n`);
    } else {
      this.#latest = Math.max(this.#latest, toMachineMs(deadline) - this.#delay.recentMs());
      this.#socket.write(`deadline ${this.#latest} ${this.#sequence}\n`);
    }
    this.#expectAnswer();
  }

  detach(): void {
    this.#end();
    this.#socket.destroy();
  }

  async dismiss(): Promise<void> {
    this.#end();
    if (this.#socket.destroyed) return;
    this.#socket.write('bye\n');
    const closed = once(this.#socket, 'close');
    await Promise.race([closed, pause(ANSWER_TIMEOUT_MS, undefined, { ref: false })]);
    await end(this.#identity);
    this.#socket.destroy();
  }

  #onLine(line: string): void {
    const [word, number] = line.split(' ');
    if (word === 'ok') {
      this.#confirmed = Number(number);
      clearTimeout(this.#timer);
      this.#timer = undefined;
      if (this.#confirmed < this.#sequence) this.#expectAnswer();
    } else if (word === 'fired' && !this.#over) {
      this.#latest = Number.NEGATIVE_INFINITY;
      this.#options.onFired();
    }
  }

  #expectAnswer(): void {
    if (this.#over) return;
    this.#timer ??= setTimeout(() => {
      // When this process itself was paused, the answer is there and only has to be read.
      setImmediate(() => {
        this.#timer = undefined;
        if (this.#confirmed < this.#sequence) this.#die(`the guard has not answered for ${ANSWER_TIMEOUT_MS} ms`);
      });
    }, ANSWER_TIMEOUT_MS);
  }

  #die(why: string): void {
    if (this.#over) return;
    this.#end();
    this.#socket.destroy();
    // Were it only stopped, it would go on with an old deadline beside its successor.
    if (isAlive(this.#identity.pid, this.#identity.startTime)) kill(this.#identity.pid, 'SIGKILL');
    this.#options.onDead(why);
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#delay.stop();
  }
}

/** Connects, and waits for its first line. Undefined when nobody is there or nobody answers. */
async function meet(socketPath: string): Promise<Met | undefined> {
  const { promise, resolve } = Promise.withResolvers<Met | undefined>();
  const socket = connect(socketPath);
  const timer = setTimeout(() => resolve(undefined), ANSWER_TIMEOUT_MS);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => resolve(undefined));
  readLines(socket, (line) => {
    const [word, pid, startTime, held] = line.split(' ');
    if (word !== 'guard') return;
    const identity = { pid: Number(pid), startTime: Number(startTime) };
    resolve({ socket, identity, held: held === undefined || held === 'none' ? null : Number(held) });
  });
  const met = await promise;
  clearTimeout(timer);
  if (met === undefined) socket.destroy();
  return met;
}

/** Kills the guard of the pid file, if it still runs. */
async function endPrevious(pidFile: string): Promise<void> {
  let identity: ProcessIdentity;
  try {
    identity = JSON.parse(readFileSync(pidFile, 'utf8')) as ProcessIdentity;
  } catch {
    return;
  }
  if (Number.isInteger(identity.pid) && Number.isInteger(identity.startTime)) await end(identity);
}

async function end({ pid, startTime }: ProcessIdentity): Promise<void> {
  if (!isAlive(pid, startTime)) return;
  kill(pid, 'SIGKILL');
  // It is no child of ours: /proc is where its end can be seen.
  for (let round = 0; round < 200 && isAlive(pid, startTime); round++) await pause(5);
}

async function spawnGuard(options: GuardOptions): Promise<void> {
  const settings: GuardSettings = {
    directory: resolveDirectory(options.dataDirectory),
    executable: options.executable ?? 'postgres',
    socketPath: options.socketPath,
    pidFile: `${options.socketPath}.pid`,
    runAs: options.runAs,
  };
  const log = openLog(options.logFile);
  try {
    // Detached and without pipes of ours: it outlives this process.
    const child = spawn(
      process.execPath,
      [
        '--max-old-space-size=16',
        '--max-semi-space-size=1',
        fileURLToPath(entryFile(import.meta.url, 'guard-main')),
        JSON.stringify(settings),
      ],
      { cwd: '/', detached: true, env: environment(), stdio: ['ignore', log, log, 'pipe'] },
    );
    child.unref();
    await ready(child);
  } finally {
    closeSync(log);
  }
}

async function ready(child: ChildProcess): Promise<void> {
  const pipe = child.stdio[3] as Readable & { unref?(): void };
  const exited = once(child, 'exit').then(([code, signal]) =>
    fail('guard.failed', `it ended with ${code ?? signal}; guard.log says why`),
  );
  exited.catch(() => {});
  const late = new AbortController();
  const timeout = pause(START_TIMEOUT_MS, undefined, { signal: late.signal }).then(() => {
    child.kill('SIGKILL');
    return fail('guard.failed', `it did not start within ${START_TIMEOUT_MS} ms`);
  });
  timeout.catch(() => {});
  try {
    await Promise.race([once(pipe, 'data'), exited, timeout]);
  } finally {
    late.abort();
    pipe.destroy();
    child.removeAllListeners();
  }
}

function openLog(file: string): number {
  try {
    return openSync(file, 'a', 0o600);
  } catch (error) {
    throw toDiskError(error, file);
  }
}

/** Nothing of the agent's but what makes Node start fast. */
function environment(): NodeJS.ProcessEnv {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  return { ...(PATH === undefined ? {} : { PATH }), ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }) };
}

function readLines(socket: Socket, onLine: (line: string) => void): void {
  let rest = '';
  socket.removeAllListeners('data');
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = (lines.pop() ?? '').slice(0, 256);
    for (const line of lines) onLine(line);
  });
}
