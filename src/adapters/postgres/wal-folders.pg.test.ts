import { existsSync, mkdirSync, readdirSync, readlinkSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { streams, TestServers } from './testing/test-cluster.ts';
import { eventually, type TestServer } from './testing/test-server.ts';

let servers: TestServers;
let one: TestServer;
let two: TestServer;
let number = 0;

beforeAll(async () => {
  servers = await TestServers.open();
});
afterAll(() => servers.end());

/** As a volume is mounted: with what its file system keeps for itself. */
function volumeOf(name: string): string {
  const volume = join(servers.folder, `wal-of-${name}`);
  mkdirSync(join(volume, 'lost+found'), { recursive: true, mode: 0o755 });
  return volume;
}

beforeEach(async () => {
  const [n1, n2] = [`n${++number}`, `n${++number}`];
  one = await servers.primary(n1, { walDir: join(volumeOf(n1), n1) });
  [two] = (await servers.standbys(one, [n2], { walDir: join(volumeOf(n2), n2) })) as [TestServer];
  return async () => {
    await servers.remove(one);
    await servers.remove(two);
  };
});

const volume = (server: TestServer) => server.layout.walVolume ?? '';
const segmentsIn = (folder: string) => readdirSync(folder).filter((name) => /^[0-9A-F]{24}$/.test(name));

/** The log is on its volume, in the only folder there, which none but the server may enter. */
function expectOnVolume(server: TestServer): string {
  const folder = readlinkSync(server.layout.walDir);
  expect(dirname(folder)).toBe(volume(server));
  expect(readdirSync(volume(server))).toEqual([folder.slice(volume(server).length + 1)]);
  expect(segmentsIn(folder)).not.toEqual([]);
  for (const path of [volume(server), folder, server.layout.dataDir]) expect(statSync(path).mode & 0o777, path).toBe(0o700);
  expect(readdirSync(dirname(volume(server)))).toContain('lost+found');
  return folder;
}

/** The standby leads on timeline 2, and the old primary has what nobody else has. */
async function diverge(): Promise<void> {
  await one.caughtUp(two);
  await two.do({ kind: 'detach' });
  await one.sql("INSERT INTO t VALUES ('given up')");
  await one.do({ kind: 'stop', mode: 'kill' });
  await two.do({ kind: 'promote', timeline: 2 });
  await two.do({ kind: 'setSync', setting: { sync: [], k: 0 }, wait: false });
  await two.sql("INSERT INTO t VALUES ('kept')");
  await two.do({ kind: 'checkpoint' });
  await two.do({ kind: 'slots', keep: [one.incarnation] });
}

async function expectFollows(): Promise<void> {
  await one.do({ kind: 'startStandby', upstream: two.upstreamOf(one) });
  await streams(one);
  await two.sql("INSERT INTO t VALUES ('streamed')");
  await two.caughtUp(one);
  await eventually(async () => {
    expect(await one.value("SELECT string_agg(note, ', ' ORDER BY note) FROM t")).toBe('kept, streamed');
  });
}

describe('The write-ahead log on a volume of its own', () => {
  test('is there after initdb and after a clone, and after a restart', async () => {
    const folder = expectOnVolume(one);
    expectOnVolume(two);
    await one.do({ kind: 'stop', mode: 'fast' });
    await one.do({ kind: 'startPrimary' });
    expect(expectOnVolume(one)).toBe(folder);
  });

  test('stays there through a rewind', async () => {
    const folder = expectOnVolume(one);
    await diverge();
    await one.do({ kind: 'rewind', upstream: two.upstreamOf(one) });
    await expectFollows();
    expect(expectOnVolume(one)).toBe(folder);
    expectOnVolume(two);
  });

  test('is made anew by a clone, and the one before is gone', async () => {
    const folder = expectOnVolume(one);
    await diverge();
    await one.do({ kind: 'clone', upstream: two.upstreamOf(one) });
    await expectFollows();
    expect(expectOnVolume(one)).not.toBe(folder);
    expect(existsSync(folder)).toBe(false);
  });

  test('stays whole while a clone fails or is interrupted, and the next clone clears away what that left', async () => {
    const folder = expectOnVolume(one);
    await diverge();
    const before = await one.seen('stopped');
    const running = one.run({ kind: 'clone', upstream: two.upstreamOf(one) });
    await eventually(() => expect(existsSync(join(one.layout.newDataDir, 'PG_VERSION'))).toBe(true));
    await one.do({ kind: 'stop', mode: 'kill' });
    expect(await running).toMatchObject({ ok: false, code: 'cancelled' });
    expect((await one.seen('stopped')).position).toEqual(before.position);
    expect(expectOnVolume(one)).toBe(folder);
    // As an agent that was killed leaves it.
    const left = join(volume(one), 'pg_wal.7');
    mkdirSync(left);
    writeFileSync(join(left, '000000010000000000000001'), '');
    await one.do({ kind: 'clone', upstream: two.upstreamOf(one) });
    await expectFollows();
    expectOnVolume(one);
  });

  test('that is not mounted makes no member one without data, and is taken as it is when it comes back', async () => {
    await diverge();
    const before = await one.seen('stopped');
    await one.restartAgent();
    const mount = dirname(volume(one));
    renameSync(mount, `${mount}.away`);
    expect(await one.seen('stuck')).toMatchObject({
      why: expect.stringContaining('the write-ahead log of the data is not there'),
    });
    expect(await one.run({ kind: 'startPrimary' })).toMatchObject({ ok: false, code: 'failed' });
    expect(await one.run({ kind: 'clone', upstream: two.upstreamOf(one) })).toMatchObject({
      ok: false,
      why: expect.stringContaining('the folder for the write-ahead log, is not there'),
    });
    renameSync(`${mount}.away`, mount);
    expect((await one.seen('stopped')).position).toEqual(before.position);
  });
});

test('a log is known by what it is, when its volume has another path by now', async () => {
  const [three] = (await servers.standbys(one, ['moved'], { walDir: join(volumeOf('moved'), 'moved') })) as [TestServer];
  const folder = expectOnVolume(three);
  await three.do({ kind: 'stop', mode: 'fast' });
  await three.server.close();
  const elsewhere = `${dirname(volume(three))}-elsewhere`;
  symlinkSync(dirname(volume(three)), elsewhere);
  const later = await servers.add('moved', { ...three.options, walDir: join(elsewhere, 'moved') });
  await later.do({ kind: 'startStandby', upstream: one.upstreamOf(later) });
  await streams(later);
  expect(segmentsIn(folder)).not.toEqual([]);
});

test('a member that has its log with its data takes the volume up when it is cloned', async () => {
  const [three] = (await servers.standbys(one, ['late'])) as [TestServer];
  await three.do({ kind: 'stop', mode: 'fast' });
  await three.server.close();
  const later = await servers.add('late', { ...three.options, walDir: join(volumeOf('late'), 'late') });
  expect(await later.seen('stopped')).toMatchObject({ clean: true });
  await later.do({ kind: 'startStandby', upstream: one.upstreamOf(later) });
  await later.do({ kind: 'clone', upstream: one.upstreamOf(later) });
  await later.do({ kind: 'startStandby', upstream: one.upstreamOf(later) });
  await streams(later);
  expectOnVolume(later);
});
