import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kill } from '#adapters/process/processes.ts';
import { formatLsn } from '#domain/lsn.ts';
import { TestServers } from '../testing/test-cluster.ts';
import { eventually, type TestServer } from '../testing/test-server.ts';
import { historyName, PLACEHOLDER, parseHistory } from '../timeline-history.ts';

let servers: TestServers;
let primary: TestServer;
let standby: TestServer;
let leader: TestServer;
let other: TestServer;

beforeAll(async () => {
  servers = await TestServers.open();
  primary = await servers.primary('n1');
  [standby, leader, other] = (await servers.standbys(primary, ['n2', 'n3', 'n4'])) as [TestServer, TestServer, TestServer];
});
afterAll(() => servers.end());

/** As fetched from a leader of timeline 4 that wrote on before it parted, and ended before it sent any of that. */
async function takeUpTimelineFour(server: TestServer): Promise<void> {
  const { position } = await server.seen('standby');
  for (const number of [2, 3]) writeFileSync(join(server.layout.walDir, historyName(number)), PLACEHOLDER);
  const parting = `1\t${formatLsn(position.lsn + 4096n)}\tno recovery target specified\n`;
  writeFileSync(join(server.layout.walDir, historyName(4)), parting);
  // Whenever it loses its upstream, it looks for a newer timeline.
  await eventually(async () => {
    const rows = await server.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'");
    for (const { pid } of rows) kill(Number(pid), 'SIGTERM');
    expect(readFileSync(server.layout.logFile, 'utf8')).toContain('new target timeline is 4');
  });
}

test('a recovery that has taken up a timeline whose WAL it never got follows a leader that is no child of it', async () => {
  await takeUpTimelineFour(standby);
  await leader.do({ kind: 'detach' });
  await leader.do({ kind: 'promote', timeline: 6 });
  await leader.do({ kind: 'slots', keep: [standby.incarnation] });
  await leader.do({ kind: 'setSync', setting: { sync: [], k: 0 }, wait: false });
  await leader.sql("INSERT INTO t VALUES ('six')");
  await standby.do({ kind: 'follow', upstream: leader.upstreamOf(standby) });
  await eventually(async () => expect(await standby.value('SELECT note FROM t')).toBe('six'));
  expect((await standby.seen('standby')).position.timeline).toBe(6);
});

test('a recovery that has taken up a timeline whose WAL it never got is promoted from its own', async () => {
  await takeUpTimelineFour(other);
  const { log } = await other.do({ kind: 'detach' });
  const promoted = await other.do({ kind: 'promote', timeline: 7 });
  expect(promoted.log?.position.timeline).toBe(7);
  expect(promoted.log?.lineage).toEqual([{ timeline: 1, end: log?.position.lsn }]);
});

test('a clone that is promoted passes on the histories of its ancestors, which it never had', async () => {
  const { log } = await other.do({ kind: 'promote', timeline: 7 });
  await other.do({ kind: 'checkpoint' });
  const clones = [await servers.add('n5'), await servers.add('n6')] as const;
  let upstream = other;
  for (const [index, clone] of clones.entries()) {
    await upstream.do({ kind: 'setSync', setting: { sync: [], k: 0 }, wait: false });
    await clone.do({ kind: 'clone', upstream: upstream.upstreamOf(clone) });
    await clone.do({ kind: 'startStandby', upstream: null });
    await clone.do({ kind: 'promote', timeline: 9 + 2 * index });
    await clone.do({ kind: 'checkpoint' });
    upstream = clone;
  }
  const histories = await Promise.all(
    [7, 8, 9].map((number) => clones[1].value(`SELECT pg_read_file('pg_wal/${historyName(number)}')`)),
  );
  const { lineage } = await clones[1].seen('primary');
  expect(lineage.map((ancestor) => ancestor.timeline)).toEqual([1, 7, 9]);
  expect(histories.map(parseHistory)).toEqual([log?.lineage, undefined, lineage.slice(0, 2)]);
});
