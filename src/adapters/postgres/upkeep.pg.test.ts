import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kill } from '#adapters/process/processes.ts';
import { streams, TestServers } from './testing/test-cluster.ts';
import { eventually, type TestServer } from './testing/test-server.ts';

let servers: TestServers;
let primary: TestServer;
let standby: TestServer;

beforeAll(async () => {
  servers = await TestServers.open();
  primary = await servers.primary('n1');
  [standby] = (await servers.standbys(primary, ['n2'])) as [TestServer];
});
afterAll(() => servers.end());

test('what a person sets on a standby by ALTER SYSTEM is undone with the next look', async () => {
  await standby.sql("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'");
  await standby.sql("ALTER SYSTEM SET work_mem = '5MB'");
  await standby.observe();
  const path = join(standby.layout.dataDir, 'postgresql.auto.conf');
  await eventually(() => expect(readFileSync(path, 'utf8')).not.toContain('primary_conninfo'));
  expect(readFileSync(path, 'utf8')).toContain('work_mem');
  await streams(standby);
});

test('the position of an idle primary with an open transaction is confirmed all the same', async () => {
  // It logs the running transactions every 15 s, and flushes them.
  kill(await primary.processOf('background writer'), 'SIGSTOP');
  const client = await primary.connectClient();
  await client.query('BEGIN');
  await client.query("INSERT INTO t VALUES ('open')");
  const { position } = await primary.seen('primary');
  await eventually(async () => {
    const { followers } = await primary.seen('primary');
    expect(followers[0]?.flushed).toBeGreaterThanOrEqual(position.lsn);
  });
  await client.query('ROLLBACK');
});
