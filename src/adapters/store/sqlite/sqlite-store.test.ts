import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, test } from 'vitest';
import { describeStore } from '../conformance.ts';
import { openSqliteStore } from './sqlite-store.ts';
import { StoreWorker } from './store-worker.ts';

const folders: string[] = [];
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    const exited = once(child, 'exit');
    if (child.kill('SIGKILL')) await exited;
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'matriarch-store-'));
  folders.push(folder);
  return join(folder, 'store.db');
}

describeStore('SQLite', async () => {
  const file = newFile();
  const options = { file, timeoutMs: 1000 };
  return {
    address: { module: new URL('./sqlite-store.ts', import.meta.url).href, export: 'openSqliteStore', options },
    open: () => openSqliteStore(options),
    async makeUnavailable() {
      // The folder is unmounted, say; a store in its place would be another one.
      renameSync(file, `${file}.away`);
      return async () => renameSync(`${file}.away`, file);
    },
    async remove() {},
  };
});

/** Opens the file with plain SQLite in a process of its own, runs `script` there, then stops in its tracks. */
async function stopInside(file: string, script: string): Promise<ChildProcess> {
  const program = `
    const { DatabaseSync } = require('node:sqlite');
    const database = new DatabaseSync(${JSON.stringify(file)});
    ${script}
    process.stdout.write('inside');
    process.kill(process.pid, 'SIGSTOP');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}

describe('The file of the SQLite store', () => {
  test('is readable by its owner alone, with all that stands beside it', async () => {
    const file = newFile();
    const store = await openSqliteStore({ file });
    await store.put('a', 1);
    const controller = new AbortController();
    store.watch('', () => {}, controller.signal);
    await store.put('a', 2);
    for (const suffix of ['', '-wal', '-shm', '-signal']) expect(statSync(file + suffix).mode & 0o777, suffix).toBe(0o600);
    controller.abort();
    await store.close();
  });

  test('is made by one of several that open it at the same time', async () => {
    const file = newFile();
    const stores = await Promise.all(Array.from({ length: 6 }, () => openSqliteStore({ file })));
    const created = await Promise.all(stores.map((store) => store.compareAndSet('identity', null, 1)));
    expect(created.filter(({ ok }) => ok).length).toBe(1);
    await Promise.all(stores.map((store) => store.close()));
  });

  test('is watched on when somebody removes the file of the signal', async () => {
    const file = newFile();
    const [store, other] = [await openSqliteStore({ file }), await openSqliteStore({ file })];
    const seen: unknown[] = [];
    store.watch('', ({ current }) => seen.push(current?.value), new AbortController().signal);
    await other.put('a', 1);
    await until(() => seen.length === 1);
    rmSync(`${file}-signal`);
    await other.put('a', 2);
    await until(() => seen.includes(2));
    await other.put('a', 3);
    await until(() => seen.includes(3));
    await Promise.all([store.close(), other.close()]);
  });

  test('of another program is left alone', async () => {
    const file = newFile();
    const foreign = new DatabaseSync(file);
    foreign.exec('CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)');
    foreign.close();
    const before = readFileSync(file);
    await expect(openSqliteStore({ file })).rejects.toMatchObject({ code: 'store.foreign' });
    expect(readFileSync(file)).toEqual(before);
    writeFileSync(file, 'no database at all, but long enough to be looked at'.repeat(100));
    await expect(openSqliteStore({ file })).rejects.toMatchObject({ code: 'store.foreign' });
  });

  test('of a later version is left alone', async () => {
    const file = newFile();
    await (await openSqliteStore({ file })).close();
    const later = new DatabaseSync(file);
    later.exec('PRAGMA user_version = 2');
    later.close();
    await expect(openSqliteStore({ file })).rejects.toMatchObject({ code: 'store.newer' });
  });

  test('whose pages were overwritten is reported as corrupt', async () => {
    const file = newFile();
    const store = await openSqliteStore({ file });
    for (let key = 0; key < 100; key++) await store.put(`key/${key}`, 'x'.repeat(1000), { durable: false });
    await store.close();
    const bytes = readFileSync(file);
    bytes.fill(0xff, 4096);
    writeFileSync(file, bytes);
    const opened = openSqliteStore({ file }).then(async (damaged) => {
      try {
        return await damaged.list('');
      } finally {
        await damaged.close();
      }
    });
    await expect(opened).rejects.toMatchObject({ code: 'store.corrupt' });
  });

  test('in a folder that is missing: an error, no folder', async () => {
    const file = join(newFile(), 'missing', 'store.db');
    await expect(openSqliteStore({ file })).rejects.toMatchObject({ code: 'store.unavailable' });
  });

  test('that was emptied under a running store is not taken for a new one', async () => {
    const file = newFile();
    const store = await openSqliteStore({ file });
    await store.put('leader', 'n1');
    renameSync(file, `${file}.old`);
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix);
    writeFileSync(file, '');
    await expect(store.get('leader')).rejects.toMatchObject({ code: 'store.unavailable' });
    await expect(store.get('leader')).rejects.toMatchObject({ code: 'store.corrupt' });
    await store.close();
  });
});

describe('Another process that was stopped', () => {
  test('in the middle of a write: reads go on, writes are refused in time with its name, and go on when it is killed', async () => {
    const file = newFile();
    const store = await openSqliteStore({ file, timeoutMs: 300 });
    await store.put('leader', 'n1');
    const child = await stopInside(file, `database.exec("BEGIN IMMEDIATE; DELETE FROM entry");`);
    await expect(store.put('leader', 'n2')).rejects.toThrow(`process ${child.pid} holds the write lock and is stopped`);
    expect((await store.get('leader'))?.value).toBe('n1');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await store.put('leader', 'n2');
    expect((await store.list('')).map(({ value }) => value)).toEqual(['n2']);
    await store.close();
  });

  test('in the middle of a read blocks nobody', async () => {
    const file = newFile();
    const store = await openSqliteStore({ file });
    await store.put('leader', 'n1');
    await stopInside(file, `database.exec("BEGIN"); database.prepare("SELECT * FROM entry").all();`);
    for (let write = 0; write < 600; write++) await store.put('leader', 'x'.repeat(write), { durable: false });
    expect(String((await store.get('leader'))?.value).length).toBe(599);
    await store.close();
  });

  test('a call that waits for the lock can be given up', async () => {
    const file = newFile();
    const store = await openSqliteStore({ file, timeoutMs: 60_000 });
    await stopInside(file, `database.exec("BEGIN IMMEDIATE");`);
    const controller = new AbortController();
    const pending = store.put('leader', 'n2', { signal: controller.signal });
    const reason = new Error('enough');
    setImmediate(() => controller.abort(reason));
    await expect(pending).rejects.toBe(reason);
    await store.close();
  });
});

describe('A worker that does not answer in time', () => {
  test('is replaced: what it was asked is lost, done or not, and the next one answers', async () => {
    const file = newFile();
    const worker = new StoreWorker({ file }, () => {});
    const later = () => performance.now() + 60_000;
    expect(await worker.ask({ kind: 'create' }, later())).toMatchObject({ kind: 'answered' });
    const writes = Array.from({ length: 500 }, (_, value) =>
      worker.ask({ kind: 'write', key: 'leader', expected: 'any', value: String(value), ttlMs: null, durable: true }, later()),
    );
    // Behind so many synced writes it cannot be answered at once.
    expect(await worker.ask({ kind: 'get', key: 'leader' }, performance.now())).toMatchObject({ kind: 'lost' });
    const outcomes = await Promise.all(writes);
    const answered = outcomes.filter(({ kind }) => kind === 'answered').length;
    expect(outcomes.filter(({ kind }) => kind === 'lost').length).toBe(500 - answered);
    expect(answered).toBeLessThan(500);
    const read = await worker.ask({ kind: 'get', key: 'leader' }, later());
    const value = read.kind === 'answered' && read.answer.kind === 'row' ? Number(read.answer.row?.value ?? -1) : Number.NaN;
    expect(value).toBeGreaterThanOrEqual(answered - 1);
    expect(value).toBeLessThan(500);
    await worker.close(later());
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
