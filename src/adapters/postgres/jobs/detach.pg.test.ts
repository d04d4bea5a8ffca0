import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isAlive, kill } from '#adapters/process/processes.ts';
import { comparePositions } from '#domain/position.ts';
import { streams, TestServers } from '../testing/test-cluster.ts';
import { eventually, freeze, type TestServer } from '../testing/test-server.ts';

let servers: TestServers;
let primary: TestServer;
let standby: TestServer;

beforeAll(async () => {
  servers = await TestServers.open();
  primary = await servers.primary('n1');
  [standby] = (await servers.standbys(primary, ['n2'])) as [TestServer];
});
afterAll(() => servers.end());

beforeEach(async () => {
  const running = (await standby.observe()).state === 'standby';
  await standby.do({ kind: running ? 'follow' : 'startStandby', upstream: primary.upstreamOf(standby) });
  await streams(standby);
  await primary.caughtUp(standby);
});

const connections = () => primary.value('SELECT count(*) FROM pg_stat_replication');
const receivers = () => standby.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walreceiver'");
const confirmed = () => primary.value("SELECT coalesce(max(restart_lsn)::text, '') FROM pg_replication_slots");

/** Nothing that the primary writes from now on arrives, and the standby's position is what it said. */
async function expectLetGo(position: { timeline: number; lsn: bigint } | undefined): Promise<void> {
  expect(await receivers()).toBe('0');
  await eventually(async () => expect(await connections()).toBe('0'));
  const before = await confirmed();
  await primary.sql("INSERT INTO t SELECT 'after' FROM generate_series(1, 100)");
  // Whoever reads the settings late reads them now, and connects if there is anything to connect with.
  for (let round = 0; round < 3; round++) await standby.reload();
  expect(await receivers()).toBe('0');
  expect(await confirmed()).toBe(before);
  expect((await standby.seen('standby')).position).toEqual(position);
}

describe('Detach', () => {
  test('ends the walreceiver of a standby whose replay is paused, and names what was received', async () => {
    await standby.sql('SELECT pg_wal_replay_pause()');
    await eventually(async () => expect(await standby.value('SELECT pg_get_wal_replay_pause_state()')).toBe('paused'));
    await primary.sql("INSERT INTO t SELECT 'paused' FROM generate_series(1, 1000)");
    await primary.caughtUp(standby);
    const flushed = await standby.value('SELECT pg_last_wal_receive_lsn() - $$0/0$$::pg_lsn');
    const { log } = await standby.do({ kind: 'detach' });
    expect(log?.position).toEqual({ timeline: 1, lsn: BigInt(flushed) });
    expect((await standby.seen('standby')).stalled).toBe('replay is paused');
    await expectLetGo(log?.position);
    // Where replay is stuck is no measure of what was confirmed.
    expect((await standby.seen('standby')).replayed).toBeLessThan(BigInt(flushed));
    await standby.sql('SELECT pg_wal_replay_resume()');
  });

  test('leaves nothing to connect with', async () => {
    expect(readFileSync(standby.layout.passfile, 'utf8')).toContain(standby.options.secrets.replication.password);
    await standby.do({ kind: 'detach' });
    expect(readFileSync(standby.layout.passfile, 'utf8')).not.toContain(standby.options.secrets.replication.password);
    expect(await standby.value('SHOW primary_conninfo')).toBe('');
    const conninfo = `host=127.0.0.1 port=${primary.options.port} user=${standby.options.secrets.replication.name} passfile=${standby.layout.passfile} sslmode=require`;
    // Even a person, or a late reader of old settings, who names the leader again finds no password.
    await standby.sql(`ALTER SYSTEM SET primary_conninfo = '${conninfo}'`);
    await standby.sql('SELECT pg_reload_conf()');
    await eventually(() =>
      expect(readFileSync(standby.layout.logFile, 'utf8')).toMatch(/no password supplied|password authentication failed/),
    );
    expect(await connections()).toBe('0');
    await standby.do({ kind: 'detach' });
    expect(await standby.value('SHOW primary_conninfo')).toBe('');
  });

  test('counts WAL whose replay is delayed, also after a restart without an upstream', async () => {
    const delayed = { ...standby.options.parameters, recovery_min_apply_delay: '1h' };
    await standby.server.updateParameters(delayed);
    await primary.sql("INSERT INTO t SELECT 'delayed' FROM generate_series(1, 1000)");
    await primary.caughtUp(standby);
    await eventually(async () => expect((await standby.seen('standby')).stalled).toMatch(/delayed/));
    const { log } = await standby.do({ kind: 'detach' });
    await expectLetGo(log?.position);
    const before = log?.position ?? { timeline: 0, lsn: 0n };

    await standby.do({ kind: 'stop', mode: 'kill' });
    await standby.do({ kind: 'startStandby', upstream: null });
    expect(await standby.value('SELECT pg_last_wal_receive_lsn() IS NULL')).toBe('true');
    const after = await standby.seen('standby');
    expect(after.replayed).toBeLessThan(before.lsn);
    expect(comparePositions(after.position, before)).toBe(0);
    expect((await standby.do({ kind: 'detach' })).log?.position).toEqual(before);

    // An agent that did not start this server knows nothing of its start.
    await standby.restartAgent();
    expect((await standby.do({ kind: 'detach' })).log?.position).toEqual(before);
    expect((await standby.seen('standby')).position).toEqual(before);
    await standby.server.updateParameters(standby.options.parameters);
  });

  test('does not take the end of the log at its own start for that of a server that a person started again', async () => {
    await standby.server.updateParameters({ ...standby.options.parameters, recovery_min_apply_delay: '1h' });
    await primary.sql("INSERT INTO t SELECT 'more' FROM generate_series(1, 1000)");
    await primary.caughtUp(standby);
    const { log } = await standby.do({ kind: 'detach' });
    kill(standby.server.pid() ?? 0, 'SIGKILL');
    await eventually(() => expect(standby.processes()).toEqual([]));
    await standby.startByHand();
    expect((await standby.seen('standby')).replayed).toBeLessThan(log?.position.lsn ?? 0n);
    expect((await standby.do({ kind: 'detach' })).log?.position).toEqual(log?.position);
    await standby.server.updateParameters(standby.options.parameters);
  });

  test('reads the position of a stopped server from its files, and keeps it from following', async () => {
    await primary.sql("INSERT INTO t VALUES ('stopped')");
    await primary.caughtUp(standby);
    const { position } = await standby.seen('standby');
    await standby.do({ kind: 'stop', mode: 'kill' });
    const { log } = await standby.do({ kind: 'detach' });
    expect(log?.position).toEqual(position);
    expect(readFileSync(standby.layout.roleConf, 'utf8')).toContain("primary_conninfo = ''");
  });

  test('ends a server whose postmaster is frozen, rather than let it confirm on', async () => {
    await primary.sql("INSERT INTO t VALUES ('frozen')");
    await primary.caughtUp(standby);
    const { position } = await standby.seen('standby');
    const receiver = await standby.processOf('walreceiver');
    await freeze(standby.server.pid() ?? 0);
    await freeze(receiver);
    const { log } = await standby.do({ kind: 'detach' });
    expect(isAlive(receiver)).toBe(false);
    expect(log?.position).toEqual(position);
  });

  test('ends a server that a person promoted meanwhile, rather than answer for a primary that runs', async () => {
    await standby.sql('SELECT pg_promote()');
    const { log } = await standby.do({ kind: 'detach' });
    expect(standby.processes()).toEqual([]);
    expect(log?.position.timeline).toBe(2);
    expect(log?.lineage).toHaveLength(1);
    expect(await standby.seen('stopped')).toMatchObject({ wasPrimary: true });
  });
});
