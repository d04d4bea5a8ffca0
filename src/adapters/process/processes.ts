import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** A process that cannot be confused with a later one of the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between the boot of the machine and the start of the process (proc(5), field 22 of `stat`). */
  readonly startTime: number;
}

export interface ProcessStatus extends ProcessIdentity {
  readonly parentPid: number;
  /** proc(5): R running, S sleeping, D uninterruptible, T stopped, Z zombie, X dead. */
  readonly state: string;
  /** User and system time so far, in clock ticks (100 a second on Linux). */
  readonly cpuTicks: number;
}

/** Reads `/proc/PID/stat`. Undefined when there is no such process; a zombie is still returned, with its state. */
export function readProcess(pid: number): ProcessStatus | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses and may itself hold blanks and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (field: number) => Number(fields[field - 3]);
  return {
    pid,
    state: fields[0] ?? '?',
    parentPid: number(4),
    cpuTicks: number(14) + number(15),
    startTime: number(22),
  };
}

/** Undefined for a process that is gone, and for a zombie: it runs nothing any more. */
export function startTimeOf(pid: number): number | undefined {
  const status = readProcess(pid);
  return status === undefined || isDead(status.state) ? undefined : status.startTime;
}

/** Does exactly this process still run? Without `startTime`: does any process of this pid? Zombies count as dead. */
export function isAlive(pid: number, startTime?: number): boolean {
  const started = startTimeOf(pid);
  return started !== undefined && (startTime === undefined || started === startTime);
}

/**
 * The live processes whose working directory is `directory`, oldest first: a server's postmaster and every backend, whoever
 * their parent is by now. `executable` (default `postgres`) is the file's name; a package upgrade that replaced the file under a
 * running server changes nothing. Only links in /proc are read, so a hung disk does not hang the search; `directory` must
 * have been resolved (see `resolveDirectory`). A process of another user is invisible without CAP_SYS_PTRACE (most containers):
 * whoever must see the server runs as the server's user.
 */
export function findByWorkingDirectory(directory: string, executable = 'postgres'): readonly ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    if (readLink(`/proc/${pid}/cwd`) !== directory) continue;
    const exe = readLink(`/proc/${pid}/exe`);
    if (exe === undefined || basename(exe) !== executable) continue;
    const startTime = startTimeOf(pid);
    if (startTime !== undefined) found.push({ pid, startTime });
  }
  return found.sort((a, b) => a.startTime - b.startTime || a.pid - b.pid);
}

/** The path as `/proc/PID/cwd` shows it: absolute, without symbolic links. It may have yet to be made; its parent may not. */
export function resolveDirectory(directory: string): string {
  try {
    return realpathSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return join(realpathSync(dirname(directory)), basename(directory));
  }
}

/**
 * One round of SIGKILL for everything that `findByWorkingDirectory` finds, the postmaster (the oldest) first so that it forks no
 * more. Returns how many there were: call it until it has returned 0 twice in a row, since a child that was forked during one
 * scan may be missed by it.
 */
export function killByWorkingDirectory(directory: string, executable = 'postgres'): number {
  const found = findByWorkingDirectory(directory, executable);
  for (const { pid } of found) kill(pid, 'SIGKILL');
  return found.length;
}

/** False when there is no such process any more. Other errors (EPERM) throw. */
export function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

function isDead(state: string): boolean {
  return state === 'Z' || state === 'X' || state === 'x';
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path).replace(/ \(deleted\)$/, '');
  } catch {
    return undefined;
  }
}
