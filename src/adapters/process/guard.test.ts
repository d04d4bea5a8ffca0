import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Guard, type GuardOptions, startGuard } from './guard.ts';
import { findByWorkingDirectory, isAlive, resolveDirectory, startTimeOf } from './processes.ts';

// The server is `sleep` here: what the guard knows of a server is its program's name and its working directory.
let folder: string;
let dead: string[];
let fired: number;
const guards: Guard[] = [];
const children: ChildProcess[] = [];
const pids: number[] = [];

beforeEach(() => {
  folder = resolveDirectory(mkdtempSync(join(tmpdir(), 'matriarch-guard-')));
  dead = [];
  fired = 0;
});
afterEach(async () => {
  for (const guard of guards.splice(0)) await guard.dismiss();
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
  for (const pid of pids.splice(0)) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

function options(): GuardOptions {
  return {
    dataDirectory: folder,
    socketPath: join(folder, 'guard.sock'),
    logFile: join(folder, 'guard.log'),
    runAs: null,
    executable: 'sleep',
    onDead: (why) => dead.push(why),
    onFired: () => {
      fired += 1;
    },
  };
}

async function start(): Promise<Guard> {
  const guard = await startGuard(options());
  guards.push(guard);
  return guard;
}

async function startServers(count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const child = spawn('sleep', ['1000'], { cwd: folder, stdio: 'ignore' });
    children.push(child);
    await once(child, 'spawn');
  }
  await until(() => servers() === count);
}

const servers = () => findByWorkingDirectory(folder, 'sleep').length;
const inMs = (ms: number) => performance.now() + ms;

describe('A guard', () => {
  test('ends the server and all of it when the deadline passes, says so, and guards on', async () => {
    const guard = await start();
    await startServers(3);
    guard.setDeadline(inMs(50));
    await until(() => fired === 1);
    expect(servers()).toBe(0);
    await startServers(1);
    guard.setDeadline(inMs(50));
    await until(() => fired === 2);
    expect(servers()).toBe(0);
    expect(dead).toEqual([]);
    expect(readFileSync(join(folder, 'guard.log'), 'utf8')).toContain('"processes":3');
  });

  test('holds back while the deadline is pushed forward, and for good when there is none', async () => {
    const guard = await start();
    await startServers(1);
    for (let push = 0; push < 20; push++) {
      guard.setDeadline(inMs(400));
      await pause(30);
    }
    guard.setDeadline(null);
    await pause(500);
    expect([servers(), fired]).toEqual([1, 0]);
  });

  test('takes no earlier deadline than the one before', async () => {
    const guard = await start();
    await startServers(1);
    guard.setDeadline(inMs(60_000));
    guard.setDeadline(inMs(10));
    await pause(100);
    expect([servers(), fired]).toEqual([1, 0]);
    guard.setDeadline(null);
    guard.setDeadline(inMs(10));
    await until(() => fired === 1);
  });

  test('leaves other programs and other directories alone', async () => {
    const guard = await start();
    const other = spawn('sleep', ['1000'], { cwd: '/', stdio: 'ignore' });
    const same = spawn('tail', ['-f', '/dev/null'], { cwd: folder, stdio: 'ignore' });
    children.push(other, same);
    await startServers(1);
    guard.setDeadline(inMs(10));
    await until(() => fired === 1);
    expect([isAlive(other.pid ?? 0), isAlive(same.pid ?? 0)]).toEqual([true, true]);
  });

  test('ends when it is told to, without ending the server', async () => {
    const guard = await start();
    await startServers(1);
    guard.setDeadline(inMs(60_000));
    await guard.dismiss();
    expect(isAlive(guard.pid)).toBe(false);
    expect(servers()).toBe(1);
    expect(existsSync(join(folder, 'guard.sock'))).toBe(false);
    expect(dead).toEqual([]);
  });

  test('that was stopped and goes on after its deadline ends the server, whatever was asked in the meantime', async () => {
    const guard = await start();
    await startServers(2);
    guard.setDeadline(inMs(150));
    process.kill(guard.pid, 'SIGSTOP');
    await pause(200);
    guard.setDeadline(inMs(60_000));
    expect(servers()).toBe(2);
    process.kill(guard.pid, 'SIGCONT');
    await until(() => fired === 1);
    expect(servers()).toBe(0);
  });

  test('its files are the owner’s alone', async () => {
    await start();
    for (const name of ['guard.sock', 'guard.sock.pid', 'guard.log']) {
      expect(statSync(join(folder, name)).mode & 0o077, name).toBe(0);
    }
  });
});

describe('The agent', () => {
  test('learns at once that its guard was killed, and starts another one', async () => {
    const first = await start();
    process.kill(first.pid, 'SIGKILL');
    await until(() => dead.length === 1);
    const second = await start();
    expect(second.pid).not.toBe(first.pid);
    await startServers(1);
    second.setDeadline(inMs(10));
    await until(() => fired === 1);
  });

  test('learns that its guard does not answer, and ends it so that no old deadline comes back', async () => {
    const guard = await start();
    await startServers(1);
    guard.setDeadline(inMs(100));
    process.kill(guard.pid, 'SIGSTOP');
    guard.setDeadline(inMs(60_000));
    await until(() => dead.length === 1);
    await until(() => !isAlive(guard.pid));
    expect(servers()).toBe(1);
  });

  test('that ends leaves the guard with its deadline; its next run finds the same guard and pushes it', async () => {
    const before = await start();
    await startServers(1);
    before.setDeadline(inMs(400));
    before.detach();
    const after = await start();
    expect(after.pid).toBe(before.pid);
    after.setDeadline(inMs(60_000));
    await pause(500);
    expect([servers(), fired]).toEqual([1, 0]);
    expect(dead).toEqual([]);
  });

  test('that is killed is survived by the guard, which ends the server in time', async () => {
    await startServers(2);
    const agent = fork(new URL('./guard-child.ts', import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    children.push(agent);
    const { onDead: _, onFired: __, ...plain } = options();
    agent.send({ options: plain, deadlineMs: 700 });
    const [{ pid }] = (await once(agent, 'message')) as [{ pid: number }];
    pids.push(pid);
    const exited = once(agent, 'exit');
    agent.kill('SIGKILL');
    await exited;
    expect([isAlive(pid), servers()]).toEqual([true, 2]);
    await until(() => servers() === 0);
  });

  test('replaces a guard that is stopped, one whose socket is gone, and what a killed one left behind', async () => {
    const stopped = await startGuard(options());
    process.kill(stopped.pid, 'SIGSTOP');
    stopped.detach();
    const second = await startGuard(options());
    expect(isAlive(stopped.pid)).toBe(false);
    second.detach();
    rmSync(join(folder, 'guard.sock'));
    const third = await startGuard(options());
    expect(isAlive(second.pid)).toBe(false);
    third.detach();
    process.kill(third.pid, 'SIGKILL');
    await until(() => !isAlive(third.pid));
    const fourth = await start();
    expect(new Set([stopped.pid, second.pid, third.pid, fourth.pid]).size).toBe(4);
    expect(dead).toEqual([]);
  });

  test('does not kill a stranger whose pid stands in an old file', async () => {
    await startServers(1);
    const stranger = children[0]?.pid ?? 0;
    writeFileSync(join(folder, 'guard.sock.pid'), JSON.stringify({ pid: stranger, startTime: (startTimeOf(stranger) ?? 0) - 1 }));
    await start();
    expect(isAlive(stranger)).toBe(true);
  });

  test('is told why no guard can be had', async () => {
    const socketPath = join(folder, 'missing', 'x'.repeat(100));
    await expect(startGuard({ ...options(), socketPath })).rejects.toMatchObject({ code: 'folder.pathTooLong' });
    await expect(startGuard({ ...options(), logFile: join(folder, 'missing', 'guard.log') })).rejects.toMatchObject({
      code: 'disk.failed',
    });
    const other = createServer((socket) => socket.on('error', () => {}).end('hello\n'));
    other.listen(join(folder, 'guard.sock'));
    await once(other, 'listening');
    await expect(startGuard(options())).rejects.toMatchObject({ code: 'guard.failed' });
    other.close();
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5);
}
