import { closeSync, renameSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createServer, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import { listenOnSocket } from '../http/unix-socket.ts';
import { dropPrivileges } from './drop-privileges.ts';
import type { GuardSettings } from './guard.ts';
import { machineMs } from './monotonic.ts';
import { killByWorkingDirectory, startTimeOf } from './processes.ts';

// The guard: a process of its own that ends the server when its deadline passes. The agent pushes the deadline forward while it
// has proof of leadership; an agent that hangs, is stopped or dies pushes nothing. It does nothing else and loads next to nothing.

/** Nobody connected and no deadline held for so long: there is nothing to guard. */
const IDLE_EXIT_MS = 10_000;
/** Between two rounds of killing. A process in an uninterruptible call dies only when that returns. */
const KILL_INTERVAL_MS = 5;
const MAX_LINE = 256;
const MAX_TIMER_MS = 60_000;
const READY_FD = 3;

const settings = JSON.parse(process.argv[2] ?? '') as GuardSettings;
protect();
flushCompileCache();
dropPrivileges(settings.runAs);
process.umask(0o077);

const startTime = startTimeOf(process.pid) ?? 0;
let deadline: number | null = null;
let timer: NodeJS.Timeout | undefined;
let idle: NodeJS.Timeout | undefined;
let agent: Socket | undefined;
let firing: Promise<void> | undefined;

const server = createServer((socket) => {
  // One agent: a second connection is the restarted agent's, the first one a dead end.
  agent?.destroy();
  agent = socket;
  clearTimeout(idle);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    if (agent === socket) agent = undefined;
    exitWhenIdle();
  });
  socket.write(`guard ${process.pid} ${startTime} ${deadline ?? 'none'}\n`);
  readCommands(socket);
});

// Before the socket: whoever finds the socket dead has to know whom to end first.
writeFileSync(`${settings.pidFile}.next`, `${JSON.stringify({ pid: process.pid, startTime })}\n`);
renameSync(`${settings.pidFile}.next`, settings.pidFile);
await listenOnSocket(server, settings.socketPath);
log('info', 'guarding', { directory: settings.directory });
writeSync(READY_FD, 'ready\n');
closeSync(READY_FD);
exitWhenIdle();

function readCommands(socket: Socket): void {
  let rest = '';
  let earlier = Promise.resolve();
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE) return socket.destroy();
    for (const line of lines) earlier = earlier.then(() => obey(socket, line));
  });
}

/** `deadline MS SEQUENCE`, `none SEQUENCE` or `bye`. Answered by `ok SEQUENCE` when it holds. */
async function obey(socket: Socket, line: string): Promise<void> {
  const [word, ...rest] = line.split(' ');
  // It was stopped, say, and the deadline passed before what pushes it forward was read: that came too late.
  if (isPast()) fire();
  await firing;
  if (socket !== agent) return;
  if (word === 'bye') return exit();
  const [time, sequence] = word === 'deadline' ? [Number(rest[0]), rest[1]] : [null, rest[0]];
  if (Number.isNaN(time)) return void socket.destroy();
  // A restarted agent has proven nothing yet, but what was proven before it goes on counting.
  deadline = time === null ? null : Math.max(deadline ?? Number.NEGATIVE_INFINITY, time);
  arm();
  socket.write(`ok ${sequence}\n`);
}

function isPast(): boolean {
  return deadline !== null && machineMs() >= deadline;
}

function arm(): void {
  clearTimeout(timer);
  timer = undefined;
  if (deadline === null) return exitWhenIdle();
  clearTimeout(idle);
  // A timer may fire a moment early, and a long one is cut: then it is armed again.
  const wait = Math.min(MAX_TIMER_MS, Math.max(0, deadline - machineMs()));
  timer = setTimeout(() => (isPast() ? fire() : arm()), wait);
}

function fire(): void {
  firing ??= endServer().finally(() => {
    firing = undefined;
    exitWhenIdle();
  });
}

/** Returns when no process of the server is left; there is no point at which it would be right to give up. */
async function endServer(): Promise<void> {
  const late = deadline === null ? 0 : machineMs() - deadline;
  const startedAt = machineMs();
  deadline = null;
  clearTimeout(timer);
  const directory = settings.directory;
  let killed = 0;
  // A child forked during one scan may be missed by it: only two empty ones mean that nobody is left.
  for (let empty = 0; empty < 2; ) {
    const found = killByWorkingDirectory(directory, settings.executable);
    killed = Math.max(killed, found);
    empty = found === 0 ? empty + 1 : 0;
    if (empty < 2) await new Promise((resolve) => setTimeout(resolve, KILL_INTERVAL_MS));
  }
  const ms = Math.round(machineMs() - startedAt);
  log('warn', 'the deadline passed: the server was ended', { processes: killed, lateMs: Math.round(late), ms });
  agent?.write(`fired ${killed}\n`);
}

function exitWhenIdle(): void {
  clearTimeout(idle);
  if (agent === undefined && deadline === null && firing === undefined) idle = setTimeout(exit, IDLE_EXIT_MS);
}

function exit(): void {
  try {
    unlinkSync(settings.socketPath);
    unlinkSync(settings.pidFile);
  } catch {
    // Gone with the folder.
  }
  process.exit(0);
}

/** Where it may: the last to be killed for memory, among the first to be scheduled. */
function protect(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '-1000');
    setPriority(-10);
  } catch {
    // An ordinary user may not.
  }
}

function log(level: 'info' | 'warn', msg: string, fields: object): void {
  writeSync(1, `${JSON.stringify({ level: level === 'info' ? 30 : 40, time: Date.now(), msg, ...fields })}\n`);
}
