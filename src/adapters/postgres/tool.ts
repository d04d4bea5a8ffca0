import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { giveUp } from './job-error.ts';
import type { Owner } from './postgres-options.ts';

const TAIL_CHARS = 256 * 1024;

export interface ToolRun {
  readonly program: string;
  readonly args: readonly string[];
  readonly owner: Owner | undefined;
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly signal?: AbortSignal;
  /** Default: none, for what makes progress as long as it runs. */
  readonly timeoutMs?: number;
  /** Lines of standard error; pg_basebackup separates its progress with carriage returns. */
  readonly onLine?: (line: string) => void;
}

export interface ToolResult {
  readonly code: number | null;
  /** The last 256 kB of each. */
  readonly stdout: string;
  readonly stderr: string;
}

/** The environment of everything of PostgreSQL that we start: nothing of the agent's, and messages that can be read. */
export function toolEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', LANG: 'C', PGCONNECT_TIMEOUT: '3', ...extra };
}

/**
 * Runs one of PostgreSQL's programs as the server's user, in a process group of its own, which is killed as a whole on abort
 * (pg_basebackup has a second process, initdb many). Rejects with `cancelled` on abort, `failed` when it cannot be started or its
 * time is up; the exit code is the caller's to judge.
 */
export async function runTool(run: ToolRun): Promise<ToolResult> {
  if (run.signal?.aborted === true) giveUp('cancelled', 'stopped');
  const child = spawn(run.program, run.args, {
    cwd: run.cwd,
    env: toolEnvironment(run.env),
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(run.owner === undefined ? {} : { uid: run.owner.uid, gid: run.owner.gid }),
  });
  const name = run.program.slice(run.program.lastIndexOf('/') + 1);
  const stdout = new Tail();
  const stderr = new Tail();
  child.stdout.setEncoding('utf8').on('data', (text: string) => stdout.add(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => stderr.add(text));
  if (run.onLine !== undefined) forEachLine(child, run.onLine);
  // A program that ends before it has read its input breaks the pipe; its exit code says why.
  child.stdin.on('error', () => {});
  child.stdin.end(run.input ?? '');
  const started = performance.now();
  let expired = false;
  const endGroup = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  run.signal?.addEventListener('abort', endGroup, { once: true });
  const timer =
    run.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          expired = true;
          endGroup();
        }, run.timeoutMs);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    if (isAborted(run.signal)) giveUp('cancelled', `${name} was stopped`);
    if (expired) giveUp('failed', `${name} did not end within ${Math.round(performance.now() - started)} ms`);
    return { code, stdout: stdout.text, stderr: stderr.text };
  } finally {
    clearTimeout(timer);
    run.signal?.removeEventListener('abort', endGroup);
  }
}

/** What a failed program said, short enough for a message. */
export function complaint(result: ToolResult): string {
  const lines = result.stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  return lines.slice(-4).join(' · ').slice(-600) || `exit code ${result.code}`;
}

class Tail {
  text = '';

  add(text: string): void {
    this.text += text;
    if (this.text.length > 2 * TAIL_CHARS) this.text = this.text.slice(-TAIL_CHARS);
  }
}

function forEachLine(child: ChildProcess, onLine: (line: string) => void): void {
  let rest = '';
  child.stderr?.on('data', (text: string) => {
    const lines = (rest + text).split(/[\r\n]+/);
    rest = (lines.pop() ?? '').slice(-4096);
    for (const line of lines) if (line.trim() !== '') onLine(line);
  });
}

/** Asked anew: it changes while we wait. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
