import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { kill } from '#adapters/process/processes.ts';
import type { SyncSetting } from '#domain/leader-record.ts';
import type { JobResult } from '#domain/server.ts';
import { TestServers } from '../testing/test-cluster.ts';
import { freeze, type TestServer } from '../testing/test-server.ts';

let servers: TestServers;
let primary: TestServer;
let one: TestServer;
let other: TestServer;
const stopped = new Set<number>();
const NOBODY = 'ANY 1 ("matriarch_none")';

beforeAll(async () => {
  servers = await TestServers.open();
  // A walsender that a test has stopped must not be given up by its standby meanwhile.
  const parameters = { wal_sender_timeout: '0', wal_receiver_timeout: '0' };
  primary = await servers.primary('n1', { parameters });
  [one, other] = (await servers.standbys(primary, ['n2', 'n3'], { parameters })) as [TestServer, TestServer];
});
afterAll(() => servers.end());
afterEach(async () => {
  for (const pid of stopped) resume(pid);
  await setSync([], 0);
});

async function stop(pid: number): Promise<number> {
  stopped.add(pid);
  await freeze(pid);
  return pid;
}

const stopWalsender = async (to: TestServer) => stop(await primary.walsenderOf(to));
/** It confirms nothing from now on. */
const stopReceiver = async (of: TestServer) => stop(await of.processOf('walreceiver'));

function resume(pid: number): void {
  stopped.delete(pid);
  kill(pid, 'SIGCONT');
}

function setting(members: readonly TestServer[], k: number): SyncSetting {
  return { sync: members.map((member) => member.incarnation), k };
}

function trySync(members: readonly TestServer[], k: number, wait = false): Promise<JobResult> {
  return primary.run({ kind: 'setSync', setting: setting(members, k), wait });
}

async function setSync(members: readonly TestServer[], k: number): Promise<void> {
  expect(await trySync(members, k)).toEqual({ ok: true });
}

/** The job must not end well; its own deadline fails it. */
async function expectNotInForce(result: Promise<JobResult>, why: unknown = expect.any(String)): Promise<void> {
  expect(await result).toEqual({ ok: false, code: 'failed', why });
}

describe('A set of members', () => {
  test('is in force with the members and the count that were asked for', async () => {
    await setSync([one, other], 2);
    expect(await primary.value('SHOW synchronous_standby_names')).toBe('ANY 2 ("n2_0a1b2c3d", "n3_0a1b2c3d")');
    expect((await primary.seen('primary')).setting).toEqual(setting([one, other], 2));
    expect(await (await primary.commit()).acknowledged).toBe('acknowledged');
    const receiver = await stopReceiver(other);
    const commit = await primary.commit();
    expect(await commit.fate()).toBe('waits');
    resume(receiver);
    expect(await commit.acknowledged).toBe('acknowledged');
  });

  test('is not in force while the walsender of a removed member has not heard of it', async () => {
    await setSync([one, other], 1);
    await stopWalsender(other);
    await expectNotInForce(trySync([one], 1), expect.stringContaining(other.incarnation));
    resume([...stopped][0] ?? 0);
    await setSync([one], 1);
    await stopWalsender(one);
    const commit = await primary.commit();
    expect(await commit.fate()).toBe('waits');
    resume([...stopped][0] ?? 0);
    expect(await commit.acknowledged).toBe('acknowledged');
  });

  test('after the empty one: nobody acknowledges while the checkpointer has not heard of it', async () => {
    await setSync([], 0);
    await stop(await primary.processOf('checkpointer'));
    await stopReceiver(one);
    await stopReceiver(other);
    const running = trySync([one, other], 1);
    // What the setting says by now is not what commits do: that is why the job must not have ended.
    const commit = await primary.commit();
    expect(await commit.fate()).toBe('acknowledged');
    await expectNotInForce(running);
    for (const pid of stopped) resume(pid);
    await setSync([one, other], 1);
    await stopReceiver(one);
    await stopReceiver(other);
    expect(await (await primary.commit()).fate()).toBe('waits');
  });

  test('is not in force before a walsender counts as many as it asks for', async () => {
    await setSync([one, other], 1);
    const walsender = await stopWalsender(one);
    await expectNotInForce(trySync([one, other], 2));
    // No walsender that counts one less may ever see both members have a priority.
    expect(await primary.value('SHOW synchronous_standby_names')).toBe(NOBODY);
    const receiver = await stopReceiver(other);
    resume(walsender);
    await setSync([one, other], 2);
    // The member that confirms would have been enough before.
    const commit = await primary.commit();
    expect(await commit.fate()).toBe('waits');
    resume(receiver);
    expect(await commit.acknowledged).toBe('acknowledged');
  });

  test('that adds a member and raises the count lets no commit go that only the new member has', async () => {
    await setSync([one], 1);
    // It has the old count, and would count whoever has a priority by its own reading of the names.
    const walsender = await stopWalsender(one);
    await expectNotInForce(trySync([one, other], 2));
    expect(await primary.value('SHOW synchronous_standby_names')).toBe(NOBODY);
    const receiver = await stopReceiver(one);
    const commit = await primary.commit();
    resume(walsender);
    expect(await commit.fate()).toBe('waits');
    await setSync([one, other], 2);
    expect(await commit.fate()).toBe('waits');
    resume(receiver);
    expect(await commit.acknowledged).toBe('acknowledged');
  });

  test('goes its whole way again after the agent has restarted', async () => {
    await setSync([one, other], 1);
    const walsender = await stopWalsender(one);
    await expectNotInForce(trySync([one, other], 2));
    await primary.restartAgent();
    // The file says what is wanted; what the processes run is not known.
    await expectNotInForce(trySync([one, other], 2));
    resume(walsender);
    await setSync([one, other], 2);
  });
});

describe('The empty set', () => {
  test('waits for nobody, and releases who waited', async () => {
    await setSync([one], 1);
    await stopReceiver(one);
    const commit = await primary.commit();
    expect(await commit.fate()).toBe('waits');
    await setSync([], 0);
    expect(await commit.acknowledged).toBe('acknowledged');
    expect(await primary.value('SHOW synchronous_standby_names')).toBe('');
  });

  test('where commits wait all the same, acknowledges nothing', async () => {
    await setSync([one], 1);
    expect(await trySync([], 0, true)).toEqual({ ok: true });
    expect((await primary.seen('primary')).setting).toEqual({ sync: ['matriarch_none'], k: 1 });
    const commit = await primary.commit();
    expect(await commit.fate()).toBe('waits');
    await setSync([one], 1);
    expect(await commit.acknowledged).toBe('acknowledged');
  });
});

describe('ALTER SYSTEM by a person', () => {
  test('shows as foreign, and is undone, with the whole way from what is not known', async () => {
    await setSync([one], 1);
    await primary.sql("ALTER SYSTEM SET synchronous_standby_names = ''");
    expect((await primary.seen('primary')).setting).toBe('foreign');
    await primary.reload();
    await stopReceiver(one);
    expect(await (await primary.commit()).fate()).toBe('acknowledged');
    await setSync([one], 1);
    expect((await primary.seen('primary')).setting).toEqual(setting([one], 1));
    expect(await (await primary.commit()).fate()).toBe('waits');
    expect(primary.logged.join()).toMatch(/ALTER SYSTEM of synchronous_standby_names/);
  });

  test('of what is not the agent’s is left alone', async () => {
    await setSync([one], 1);
    await primary.sql("ALTER SYSTEM SET work_mem = '5MB'");
    expect((await primary.seen('primary')).setting).toEqual(setting([one], 1));
    await setSync([one, other], 1);
    expect(await primary.value('SHOW work_mem')).toBe('5MB');
    await primary.sql('ALTER SYSTEM RESET work_mem');
  });
});
