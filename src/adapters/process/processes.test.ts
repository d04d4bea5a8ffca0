import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import {
  findByWorkingDirectory,
  isAlive,
  kill,
  killByWorkingDirectory,
  readProcess,
  resolveDirectory,
  startTimeOf,
} from './processes.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'matriarch-processes-'));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  return resolveDirectory(directory);
}

async function spawnIn(directory: string) {
  const child = spawn('sleep', ['1000'], { cwd: directory, stdio: 'ignore' });
  await once(child, 'spawn');
  cleanups.push(() => child.kill('SIGKILL'));
  return child as typeof child & { readonly pid: number };
}

test('a process is alive by pid and start time; another start time is another process', () => {
  const startTime = startTimeOf(process.pid);
  expect(startTime).toBeTypeOf('number');
  expect(isAlive(process.pid)).toBe(true);
  expect(isAlive(process.pid, startTime)).toBe(true);
  expect(isAlive(process.pid, Number(startTime) - 1)).toBe(false);
  expect(readProcess(process.pid)?.parentPid).toBe(process.ppid);
});

test('a zombie is dead', async () => {
  // The shell's child ends when the shell has become `sleep`, which never waits for it; before that the shell might.
  const directory = temporaryDirectory();
  const parent = spawn('sh', ['-c', "sh -c 'until grep -q sleep /proc/$PPID/comm; do :; done' & echo $!; exec sleep 1000"], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  cleanups.push(() => parent.kill('SIGKILL'));
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  await until(() => readProcess(pid)?.state === 'Z' && readProcess(parent.pid ?? 0)?.state === 'S');
  expect(isAlive(pid)).toBe(false);
  expect(startTimeOf(pid)).toBeUndefined();
});

test('finds exactly the processes of one executable in one directory, and kills them', async () => {
  const directory = temporaryDirectory();
  const other = temporaryDirectory();
  const inside = [await spawnIn(directory), await spawnIn(directory)];
  const outside = await spawnIn(other);
  const name = basename('sleep');
  // `spawn` fires before exec in rare cases: wait until the executable is the expected one.
  await until(() => findByWorkingDirectory(directory, name).length === 2);
  expect(findByWorkingDirectory(directory, name).map(({ pid }) => pid)).toEqual(inside.map(({ pid }) => pid));
  expect(findByWorkingDirectory(directory, 'postgres')).toEqual([]);

  await until(() => killByWorkingDirectory(directory, name) === 0);
  for (const { pid } of inside) expect(isAlive(pid)).toBe(false);
  expect(isAlive(outside.pid)).toBe(true);
});

test('finds processes whose directory was removed', async () => {
  const directory = temporaryDirectory();
  const child = await spawnIn(directory);
  await until(() => findByWorkingDirectory(directory, 'sleep').length === 1);
  rmSync(directory, { recursive: true });
  expect(findByWorkingDirectory(directory, 'sleep').map(({ pid }) => pid)).toEqual([child.pid]);
});

test('signalling a process that is gone says so', async () => {
  const child = await spawnIn(temporaryDirectory());
  const exited = once(child, 'exit');
  expect(kill(child.pid, 'SIGKILL')).toBe(true);
  await exited;
  expect(kill(child.pid, 'SIGKILL')).toBe(false);
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
