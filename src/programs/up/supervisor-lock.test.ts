import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readHolder, SupervisorLock } from './supervisor-lock.ts';

let folder: string;
const children: ChildProcess[] = [];
const lockFile = () => join(folder, 'supervisor.lock');
const holderFile = () => join(folder, 'supervisor.json');

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matriarch-lock-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  await rm(folder, { recursive: true });
});

/** A process that takes the lock, says how that went, and then holds on. */
async function contend(): Promise<{ readonly child: ChildProcess; readonly said: string }> {
  const script = `
    const { SupervisorLock } = await import(${JSON.stringify(join(import.meta.dirname, 'supervisor-lock.ts'))});
    try { await SupervisorLock.take(process.argv[1], process.argv[2]); console.log('taken'); } catch (error) { console.log(error.code); }
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, lockFile(), holderFile()], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, said: said.toString().trim() };
}

test('of many that want it at once, one gets it', async () => {
  const said = (await Promise.all(Array.from({ length: 6 }, contend))).map((one) => one.said);
  expect(said.toSorted()).toEqual([...Array<string>(5).fill('cluster.alreadyUp'), 'taken']);
});

test('it ends with its holder, even a killed one', async () => {
  const { child, said } = await contend();
  expect(said).toBe('taken');
  expect(readHolder(holderFile())?.pid).toBe(child.pid);
  await expect(SupervisorLock.take(lockFile(), holderFile())).rejects.toMatchObject({
    code: 'cluster.alreadyUp',
    message: expect.stringContaining(`process ${child.pid}`),
  });
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(readHolder(holderFile())).toBeUndefined();
  const lock = await SupervisorLock.take(lockFile(), holderFile());
  expect(readHolder(holderFile())?.pid).toBe(process.pid);
  lock.release();
});

test('a holder whose pid was given to another process is none', async () => {
  const lock = await SupervisorLock.take(lockFile(), holderFile());
  await writeFile(holderFile(), JSON.stringify({ pid: process.pid, startTime: 1 }));
  expect(readHolder(holderFile())).toBeUndefined();
  lock.release();
});
