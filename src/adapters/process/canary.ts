import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { CanaryOrder, CanaryReport, CanarySettings } from './canary-protocol.ts';
import { entryFile } from './entry-file.ts';

export interface CanaryOptions extends Omit<CanarySettings, 'intervalMs' | 'deadlineMs'> {
  /** Between two rounds. Default 1000. */
  readonly intervalMs?: number;
  /** How long a new connection may take until the server is stuck, not counting what the canary itself was held up. Default 1200. */
  readonly deadlineMs?: number;
  /** Called at every change, and first when something is wrong. Nothing is reported while no server runs. */
  onReport(report: CanaryReport): void;
  /** A line for the log: the canary ended or hangs, and is started again. */
  onTrouble(why: string): void;
}

export interface Canary {
  /** Undefined between two lives. */
  readonly pid: number | undefined;
  /** On a primary it writes, too. */
  setPrimary(isPrimary: boolean): void;
  stop(): Promise<void>;
}

const DEFAULTS = { intervalMs: 1000, deadlineMs: 1200 };
/** A canary that has said nothing for so many rounds is itself stuck. It says nothing about the server. */
const SILENT_ROUNDS = 10;
const RESTART_PAUSE_MS = 1000;

type Child = ChildProcessByStdio<Writable, Readable, null>;

/**
 * Watches for what hangs without ending: with the defaults, a stopped postmaster is reported 1.2 to 2.2 s after it stopped (the round
 * begins at most a second later).
 */
export function startCanary(options: CanaryOptions): Canary {
  const { onReport, onTrouble, ...given } = options;
  const settings: CanarySettings = { ...DEFAULTS, ...given };
  let child: Child | undefined;
  let restart: NodeJS.Timeout | undefined;
  let silence: NodeJS.Timeout | undefined;
  let stopped = false;
  let isPrimary = false;
  let last: CanaryReport = { stuck: null, diskFull: false };

  function start(): void {
    // No secret among the arguments or in the environment: settings come by standard input, whose end also ends the canary.
    const started: Child = spawn(
      process.execPath,
      ['--max-old-space-size=32', '--max-semi-space-size=1', fileURLToPath(entryFile(import.meta.url, 'canary-main'))],
      { cwd: '/', env: environment(), stdio: ['pipe', 'pipe', 'ignore'] },
    );
    child = started;
    started.on('error', (error) => onTrouble(`the canary could not be started: ${error.message}`));
    started.once('close', (code, signal) => ended(started, `the canary ended with ${code ?? signal}`));
    started.stdin.on('error', () => {});
    tell(started, settings);
    tell(started, { primary: isPrimary } satisfies CanaryOrder);
    createInterface({ input: started.stdout }).on('line', (line) => hear(started, line));
    expectWord(started);
  }

  function hear(from: Child, line: string): void {
    if (from !== child || stopped) return;
    expectWord(from);
    let report: CanaryReport;
    try {
      report = JSON.parse(line) as CanaryReport;
    } catch {
      return onTrouble(`the canary said ${line.slice(0, 200)}`);
    }
    if (report.stuck === last.stuck && report.diskFull === last.diskFull) return;
    last = report;
    onReport(report);
  }

  function expectWord(from: Child): void {
    clearTimeout(silence);
    silence = setTimeout(() => {
      onTrouble('the canary is silent');
      from.kill('SIGKILL');
    }, settings.intervalMs * SILENT_ROUNDS);
  }

  function ended(former: Child, why: string): void {
    if (former !== child) return;
    child = undefined;
    clearTimeout(silence);
    if (stopped) return;
    onTrouble(why);
    restart = setTimeout(start, RESTART_PAUSE_MS);
  }

  start();
  return {
    get pid() {
      return child?.pid;
    },
    setPrimary(primary) {
      if (isPrimary === primary) return;
      isPrimary = primary;
      if (child !== undefined) tell(child, { primary } satisfies CanaryOrder);
    },
    async stop() {
      stopped = true;
      clearTimeout(restart);
      clearTimeout(silence);
      const running = child;
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
      const exited = once(running, 'exit');
      // One whose thread hangs on a disk does not end by itself.
      running.kill('SIGKILL');
      await exited;
    },
  };
}

function tell(child: Child, message: CanarySettings | CanaryOrder): void {
  child.stdin.write(`${JSON.stringify(message)}\n`);
}

function environment(): NodeJS.ProcessEnv {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  return { ...(PATH === undefined ? {} : { PATH }), ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }) };
}
