import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { formatLsn } from '#domain/lsn.ts';
import type { Position, Timeline } from '#domain/position.ts';
import { streams, TestServers } from '../testing/test-cluster.ts';
import { eventually, type TestServer } from '../testing/test-server.ts';
import { historyName, segmentName } from '../timeline-history.ts';

const SEGMENT_BYTES = 16 * 1024 * 1024;

let servers: TestServers;
let primary: TestServer;
let one: TestServer;
let other: TestServer;

beforeAll(async () => {
  servers = await TestServers.open();
  primary = await servers.primary('n1');
});
beforeEach(async () => {
  [one, other] = (await servers.standbys(primary, ['n2', 'n3'])) as [TestServer, TestServer];
});
afterEach(async () => {
  await servers.remove(one);
  await servers.remove(other);
});
afterAll(() => servers.end());

async function detached(server: TestServer): Promise<Position> {
  const { log } = await server.do({ kind: 'detach' });
  if (log === undefined) throw new Error('no position');
  return log.position;
}

const tryPromote = (server: TestServer, timeline: Timeline) => server.run({ kind: 'promote', timeline });
const promote = (server: TestServer, timeline: Timeline) => server.do({ kind: 'promote', timeline });
const historyOf = (server: TestServer, timeline: Timeline) => join(server.layout.walDir, historyName(timeline));

/** The other standby follows the one that was promoted, and has what it writes. */
async function expectFollowed(): Promise<void> {
  await one.do({ kind: 'slots', keep: [other.incarnation] });
  await other.do({ kind: 'follow', upstream: one.upstreamOf(other) });
  await one.do({ kind: 'setSync', setting: { sync: [other.incarnation], k: 1 }, wait: false });
  await one.sql("INSERT INTO t VALUES ('followed')");
  await streams(other);
  expect(await (await one.commit()).acknowledged).toBe('acknowledged');
  const { position, lineage } = await one.seen('primary');
  await eventually(async () => {
    const view = await other.seen('standby');
    expect(view.position.timeline).toBe(position.timeline);
    expect(view.lineage).toEqual(lineage);
    expect(await other.value("SELECT count(*) FROM t WHERE note = 'followed'")).toBe('1');
  });
}

describe('A promotion', () => {
  test('ends on exactly the claimed timeline, behind a closed gate, and acknowledges nothing', async () => {
    const end = await detached(one);
    await detached(other);
    const reader = await one.connectClient();
    const cut = Promise.withResolvers<void>();
    reader.on('end', () => cut.resolve());
    const result = await promote(one, 5);
    expect(result).toMatchObject({ ok: true, log: { position: { timeline: 5 }, lineage: [{ timeline: 1, end: end.lsn }] } });
    // Who read from the standby would read what nobody else has.
    await cut.promise;
    await expect(one.connectClient()).rejects.toMatchObject({ code: '28000' });
    const view = await one.seen('primary');
    expect(view).toMatchObject({ gateOpen: false, setting: { sync: ['matriarch_none'], k: 1 } });
    expect(view.lineage).toEqual([{ timeline: 1, end: end.lsn }]);
    expect(await (await one.commit()).fate()).toBe('waits');
    // Asked again, it is what it is.
    expect(await promote(one, 5)).toMatchObject({ ok: true, log: { position: { timeline: 5 } } });
    await expectFollowed();
  });

  test('replays all that was received, also when replay is paused or delayed', async () => {
    await one.sql('SELECT pg_wal_replay_pause()');
    await eventually(async () => expect((await one.seen('standby')).stalled).toBe('replay is paused'));
    await other.server.updateParameters({ ...other.options.parameters, recovery_min_apply_delay: '1h' });
    await primary.sql("INSERT INTO t VALUES ('late')");
    for (const standby of [one, other]) await primary.caughtUp(standby);
    await eventually(async () => expect((await other.seen('standby')).stalled).toMatch(/delayed/));
    for (const [standby, timeline] of [
      [one, 20],
      [other, 21],
    ] as const) {
      const end = await detached(standby);
      expect(await promote(standby, timeline)).toMatchObject({ ok: true, log: { lineage: [{ timeline: 1, end: end.lsn }] } });
      expect(await standby.value("SELECT count(*) FROM t WHERE note = 'late'")).not.toBe('0');
    }
  });

  test('goes on where one before it stopped half way', async () => {
    await primary.sql("INSERT INTO t VALUES ('half way')");
    await primary.caughtUp(one);
    const end = await detached(one);
    await detached(other);
    await one.do({ kind: 'stop', mode: 'kill' });
    // What PostgreSQL writes before it is on the new timeline: the history, and the last segment under its new name.
    writeFileSync(historyOf(one, 4), `1\t${formatLsn(end.lsn)}\tno recovery target specified\n`);
    const last = (timeline: Timeline) => join(one.layout.walDir, segmentName(timeline, end.lsn, SEGMENT_BYTES));
    copyFileSync(last(1), last(4));
    writeFileSync(one.layout.promotionMarker, JSON.stringify({ timeline: 4 }));
    one.give(historyOf(one, 4), last(4));
    const stopped = await one.seen('stopped');
    expect(stopped).toMatchObject({ position: end, wasPrimary: false });
    expect(existsSync(historyOf(one, 4))).toBe(false);
    expect(await promote(one, 6)).toMatchObject({ ok: true, log: { position: { timeline: 6 }, lineage: [{ timeline: 1 }] } });
    await expectFollowed();
  });

  test('that was killed at any moment is repeated to the same end', async () => {
    await detached(one);
    await detached(other);
    const first = tryPromote(one, 7);
    await eventually(() => expect(existsSync(one.layout.promotionMarker)).toBe(true));
    await one.do({ kind: 'stop', mode: 'kill' });
    await first;
    expect(await promote(one, 8)).toMatchObject({ ok: true, log: { position: { timeline: 8 } } });
    await expectFollowed();
  });

  test('is refused to a number that its log has passed, and leaves no server that runs on another', async () => {
    await detached(one);
    await promote(one, 9);
    expect(await tryPromote(one, 10)).toMatchObject({ ok: false, code: 'wrongTimeline' });
    expect(one.processes()).toEqual([]);
    expect(await tryPromote(one, 3)).toMatchObject({ ok: false, code: 'wrongTimeline' });
    expect(one.processes()).toEqual([]);
  });

  test('to a number that another member took too is told from it by the lineage', async () => {
    await detached(one);
    await primary.sql("INSERT INTO t VALUES ('only the other has it')");
    await primary.caughtUp(other);
    await detached(other);
    await promote(one, 11);
    await promote(other, 11);
    const [left, right] = [await one.seen('primary'), await other.seen('primary')];
    expect(left.position.timeline).toBe(right.position.timeline);
    expect(left.lineage).not.toEqual(right.lineage);
  });

  test('leaves placeholders that say nothing, for those who follow', async () => {
    await detached(one);
    await promote(one, 4);
    for (const timeline of [2, 3]) expect(readFileSync(historyOf(one, timeline), 'utf8')).toMatch(/^#[^\n]*\n$/);
    expect(readFileSync(historyOf(one, 4), 'utf8')).toMatch(/^1\t/);
  });
});
