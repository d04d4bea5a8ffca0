import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fillDisk, smallDisk } from '../../../test/support/small-disk.ts';
import { type Canary, startCanary } from './canary.ts';
import type { CanaryReport } from './canary-protocol.ts';
import { startGuard } from './guard.ts';
import { findByWorkingDirectory, isAlive, resolveDirectory } from './processes.ts';
import { chooseServerUser, type ServerUser } from './server-user.ts';

const BIN = process.env.MATRIARCH_TEST_POSTGRES_BIN ?? '/usr/lib/postgresql/15/bin';
const PORT = 5432;
const LOGIN = { user: 'canary', password: 'a password that must not be seen', database: 'postgres' };

/** Only root may mount, and not in every container. */
const canMount = process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0;

let folder: string;
let directory: string;
let user: ServerUser | null;
let server: ChildProcess;
let canary: Canary | undefined;
let reports: CanaryReport[];
let troubles: string[];
const clients: pg.Client[] = [];

beforeEach(async () => {
  user = await chooseServerUser();
  folder = resolveDirectory(mkdtempSync(join(tmpdir(), 'matriarch-canary-')));
  if (user !== null) chownSync(folder, user.uid, user.gid);
  chmodSync(folder, 0o700);
  directory = join(folder, 'data');
  const as = user === null ? {} : { uid: user.uid, gid: user.gid };
  execFileSync(join(BIN, 'initdb'), ['-D', directory, '-U', LOGIN.user, '-A', 'trust', '--no-sync'], {
    ...as,
    cwd: '/',
    stdio: 'ignore',
  });
  const settings = {
    listen_addresses: '',
    unix_socket_directories: folder,
    port: String(PORT),
    shared_buffers: '16MB',
    fsync: 'on',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  server = spawn(join(BIN, 'postgres'), ['-D', directory, ...options], { ...as, cwd: '/', stdio: 'ignore' });
  await connected();
  reports = [];
  troubles = [];
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end().catch(() => {});
  await canary?.stop();
  canary = undefined;
  for (const { pid } of findByWorkingDirectory(directory)) process.kill(pid, 'SIGKILL');
  await until(() => findByWorkingDirectory(directory).length === 0);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

async function connected(): Promise<pg.Client> {
  for (;;) {
    const client = new pg.Client({ host: folder, port: PORT, ...LOGIN });
    client.on('error', () => {});
    try {
      await client.connect();
      clients.push(client);
      return client;
    } catch {
      await pause(20);
    }
  }
}

function start(...others: readonly string[]): Canary {
  canary = startCanary({
    directories: [join(directory, 'pg_wal'), ...others],
    socketDirectory: folder,
    port: PORT,
    login: LOGIN,
    runAs: user,
    intervalMs: 200,
    deadlineMs: 600,
    onReport: (report) => reports.push(report),
    onTrouble: (why) => troubles.push(why),
  });
  return canary;
}

/** Resolves when the canary has written to the server: then a round has gone well. */
async function firstWrite(): Promise<void> {
  const client = await connected();
  const position = async () => String((await client.query('SELECT pg_current_wal_flush_lsn() AS lsn')).rows[0].lsn);
  const before = await position();
  const backends = async () =>
    (await client.query("SELECT FROM pg_stat_activity WHERE application_name = 'matriarch canary'")).rowCount;
  while ((await backends()) === 0 || (await position()) === before) await pause(20);
}

describe('The canary', () => {
  test('says nothing of a healthy server, writes on a primary only, and shows its password to nobody', async () => {
    const started = start();
    started.setPrimary(true);
    await firstWrite();
    const pid = Number(started.pid);
    for (const file of ['cmdline', 'environ'])
      expect(readFileSync(`/proc/${pid}/${file}`, 'latin1')).not.toContain(LOGIN.password);
    if (user !== null)
      expect(readFileSync(`/proc/${pid}/status`, 'latin1')).toMatch(new RegExp(`Uid:\\s+${user.uid}\\s+${user.uid}`));
    started.setPrimary(false);
    const client = await connected();
    const backends = async () =>
      (await client.query("SELECT FROM pg_stat_activity WHERE application_name = 'matriarch canary'")).rowCount;
    while ((await backends()) !== 0) await pause(20);
    expect([reports, troubles]).toEqual([[], []]);
  });

  test('reports a postmaster that is stopped, and its return', async () => {
    start().setPrimary(true);
    await firstWrite();
    process.kill(Number(server.pid), 'SIGSTOP');
    await until(() => reports.length === 1);
    expect(reports[0]).toEqual({ stuck: 'it takes no new connections', diskFull: false });
    process.kill(Number(server.pid), 'SIGCONT');
    await until(() => reports.length === 2);
    expect(reports[1]).toEqual({ stuck: null, diskFull: false });
    expect(troubles).toEqual([]);
  });

  test.skipIf(!canMount)('tells of each of the server’s disks that it is full, and that it is so no more', async () => {
    const other = join(folder, 'other');
    mkdirSync(other);
    if (user !== null) chownSync(other, user.uid, user.gid);
    const unmount = await smallDisk(other, 1);
    try {
      const makeRoom = await fillDisk(other);
      start(other);
      await until(() => reports.length === 1);
      expect(reports[0]).toEqual({ stuck: null, diskFull: true });
      await makeRoom();
      await until(() => reports.length === 2);
      expect(reports[1]).toEqual({ stuck: null, diskFull: false });
    } finally {
      unmount();
    }
  });

  test('reports a transaction that hangs', async () => {
    start().setPrimary(true);
    await firstWrite();
    const client = await connected();
    const { rows } = await client.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'matriarch canary'");
    process.kill(Number(rows[0].pid), 'SIGSTOP');
    await until(() => reports.length === 1);
    expect(reports[0]?.stuck).toBe('a transaction does not end');
    process.kill(Number(rows[0].pid), 'SIGCONT');
    await until(() => reports.length === 2);
    expect(reports[1]?.stuck).toBeNull();
  });

  test('does not hold against the server what stopped the canary itself', async () => {
    const started = start();
    started.setPrimary(true);
    await firstWrite();
    for (let round = 0; round < 5; round++) {
      process.kill(Number(started.pid), 'SIGSTOP');
      await pause(900);
      process.kill(Number(started.pid), 'SIGCONT');
      await pause(50);
    }
    expect(reports).toEqual([]);
  });

  test('says nothing of a server that has ended: the agent sees that sooner', async () => {
    start();
    await pause(300);
    process.kill(Number(server.pid), 'SIGKILL');
    await once(server, 'exit');
    await pause(1500);
    expect(reports).toEqual([]);
  });

  test('is started again when it was killed, and still writes', async () => {
    const started = start();
    started.setPrimary(true);
    await firstWrite();
    const pid = Number(started.pid);
    process.kill(pid, 'SIGKILL');
    await until(() => started.pid !== undefined && started.pid !== pid);
    await firstWrite();
    expect(troubles).toEqual(['the canary ended with SIGKILL']);
  });

  test('ends with its agent', async () => {
    const agent = spawn(process.execPath, [new URL('./canary-child.ts', import.meta.url).pathname], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const options = { directories: [join(directory, 'pg_wal')], socketDirectory: folder, port: PORT, login: LOGIN, runAs: user };
    agent.stdin.write(`${JSON.stringify(options)}\n`);
    const [pid] = (await once(agent.stdout, 'data')) as [Buffer];
    expect(isAlive(Number(pid))).toBe(true);
    agent.kill('SIGKILL');
    await until(() => !isAlive(Number(pid)));
  });
});

describe('The guard of a real server', () => {
  test('ends the postmaster and every backend, as the server’s user, also those that are stopped', async () => {
    for (let connection = 0; connection < 5; connection++) await connected();
    const fired = Promise.withResolvers<void>();
    const guard = await startGuard({
      dataDirectory: directory,
      socketPath: join(folder, 'guard.sock'),
      logFile: join(folder, 'guard.log'),
      runAs: user,
      onDead: (why) => fired.reject(new Error(why)),
      onFired: fired.resolve,
    });
    const processes = findByWorkingDirectory(directory);
    expect(processes.length).toBeGreaterThan(6);
    process.kill(Number(server.pid), 'SIGSTOP');
    guard.setDeadline(performance.now() + 100);
    await fired.promise;
    expect(processes.filter(({ pid, startTime }) => isAlive(pid, startTime))).toEqual([]);
    if (user !== null)
      expect(readFileSync(`/proc/${guard.pid}/status`, 'latin1')).toMatch(new RegExp(`Uid:\\s+${user.uid}\\s+${user.uid}`));
    await guard.dismiss();
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(10);
}
