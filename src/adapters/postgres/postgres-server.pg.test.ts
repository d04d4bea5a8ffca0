import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { kill } from '#adapters/process/processes.ts';
import { formatConninfo, passfileLine, upstreamParts } from './conninfo.ts';
import { streams, TestServers } from './testing/test-cluster.ts';
import { BIN, eventually, SECRETS, type TestServer } from './testing/test-server.ts';

let servers: TestServers;
/** Bootstrapped once, and stopped before every test. */
let single: TestServer;
let primary: TestServer;
let standby: TestServer;
const children: ChildProcess[] = [];

beforeAll(async () => {
  servers = await TestServers.open();
  single = await servers.add('single', { stopTimeoutMs: 500, stallTimeoutMs: 5000 });
  const made = await single.do({ kind: 'bootstrap' });
  expect(made.systemIdentifier).toMatch(/^\d{19}$/);
  expect(made.systemIdentifier).toBe(await single.value('SELECT system_identifier FROM pg_control_system()'));
  await single.do({ kind: 'stop', mode: 'fast' });
  primary = await servers.primary('n1');
  [standby] = (await servers.standbys(primary, ['n2'])) as [TestServer];
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await single.do({ kind: 'stop', mode: 'kill' });
});
afterAll(() => servers.end());

/** The pids of the server whose titles match. */
function processes(server: TestServer, title: RegExp): readonly number[] {
  return server
    .processes()
    .map(({ pid }) => pid)
    .filter((pid) => title.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim()));
}

/** SIGSTOP, until it is really stopped. */
async function freeze(pid: number): Promise<void> {
  kill(pid, 'SIGSTOP');
  await eventually(() => expect(readFileSync(`/proc/${pid}/stat`, 'latin1')).toMatch(/\) T /));
}

function pidOf(server: TestServer): number {
  const pid = server.server.pid();
  if (pid === undefined) throw new Error(`${server.name} does not run`);
  return pid;
}

test('a bootstrapped server is a primary behind a closed gate that acknowledges nothing', async () => {
  const { log } = await single.do({ kind: 'startPrimary' });
  const view = await single.seen('primary');
  expect(view).toMatchObject({ gateOpen: false, setting: { sync: ['matriarch_none'], k: 1 }, lineage: [], followers: [] });
  expect(view.position).toEqual(log?.position);
  await expect(single.connectClient()).rejects.toMatchObject({ code: '28000' });
  expect(await (await single.commit("SELECT pg_logical_emit_message(true, 'a', 'b')")).fate()).toBe('waits');
  expect(await single.value('SHOW data_checksums')).toBe('on');
  expect(await single.value("SELECT every(rolpassword LIKE 'SCRAM-SHA-256$%')::text FROM pg_authid WHERE rolcanlogin")).toBe(
    'true',
  );
});

test('no secret stands in an argument list, in an environment, or in a file that others can read', () => {
  const secrets = Object.values(SECRETS).map(({ password }) => password);
  const arguments_ = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => ['cmdline', 'environ'].map((file) => readOrEmpty(`/proc/${pid}/${file}`)));
  expect(arguments_.filter((text) => secrets.some((secret) => text.includes(secret)))).toEqual([]);
  const holding: string[] = [];
  for (const server of [single, primary, standby]) {
    for (const entry of readdirSync(server.options.memberDir, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      expect(statSync(path).mode & 0o077, path).toBe(0);
      if (secrets.some((secret) => readFileSync(path, 'latin1').includes(secret))) holding.push(path);
    }
  }
  // The log and the write-ahead log are among those that hold none.
  expect(holding).toEqual([standby.layout.passfile]);
});

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

test('the gate keeps clients out and lets the agent and members in; cut ends those that are in', async () => {
  const client = await primary.connectClient();
  const ended = new Promise<void>((resolve) => client.on('end', () => resolve()));
  await primary.do({ kind: 'gate', open: false, cut: false });
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await expect(primary.connectClient()).rejects.toMatchObject({ code: '28000' });
  expect((await primary.seen('primary')).gateOpen).toBe(false);
  await primary.do({ kind: 'gate', open: false, cut: true });
  await ended;
  const before = await primary.walsenderOf(standby);
  kill(await standby.processOf('walreceiver'), 'SIGTERM');
  await eventually(async () => expect(await primary.walsenderOf(standby)).not.toBe(before));
  await streams(standby);
  await primary.do({ kind: 'gate', open: true, cut: false });
  expect((await (await primary.connectClient()).query('SELECT 3 AS three')).rows).toEqual([{ three: 3 }]);
  await expect(primary.connect(SECRETS.superuser, { host: primary.options.host })).rejects.toMatchObject({ code: '28000' });
});

test('a connection that passed the open gate and has not authenticated yet is cut with the others', async () => {
  await single.do({ kind: 'startPrimary' });
  await single.do({ kind: 'gate', open: true, cut: false });
  // Not their number: a connection of the job's may be about to end.
  const before = new Set(processes(single, /./));
  const socket = connect(single.options.port, single.options.host);
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.on('error', () => {});
  await eventually(() => expect(processes(single, /./).filter((pid) => !before.has(pid))).toHaveLength(1));
  await single.do({ kind: 'gate', open: false, cut: true });
  await closed;
});

test('followers are shown by incarnation, with what they have confirmed', async () => {
  await primary.sql("INSERT INTO t VALUES ('confirmed')");
  const { position } = await primary.seen('primary');
  await eventually(async () => {
    const { followers } = await primary.seen('primary');
    expect(followers).toMatchObject([{ incarnation: standby.incarnation, streaming: true }]);
    expect(followers[0]?.flushed).toBeGreaterThanOrEqual(position.lsn);
    expect(followers[0]?.silentMs).toBeLessThan(5000);
  });
  const view = await standby.seen('standby');
  expect(view).toMatchObject({ streaming: true, lineage: [] });
  expect(view.position.lsn).toBeGreaterThanOrEqual(position.lsn);
  expect(view.upstreamSilentMs).toBeLessThan(5000);
});

test('two connections of one name, whatever its case: neither counts', async () => {
  // PostgreSQL's own tool, without a slot: members cannot come twice, since each streams through its own.
  const name = standby.incarnation.toUpperCase();
  const folder = join(servers.folder, 'received');
  const passfile = join(servers.folder, 'received.pgpass');
  mkdirSync(folder);
  writeFileSync(passfile, passfileLine(SECRETS.replication), { mode: 0o600 });
  const parts = upstreamParts({ ...primary.upstreamOf(standby), name }, primary.layout, SECRETS.replication, passfile);
  const child = spawn(join(BIN, 'pg_receivewal'), ['-D', folder, '-d', formatConninfo(parts), '--synchronous', '--no-loop']);
  children.push(child);
  await eventually(async () => {
    const { followers } = await primary.seen('primary');
    expect(followers).toMatchObject([{ incarnation: standby.incarnation, streaming: false, flushed: 0n }]);
  });
  child.kill('SIGKILL');
  await eventually(async () => expect((await primary.seen('primary')).followers).toMatchObject([{ streaming: true }]));
});

test('kill -9 of the postmaster is told at once, and what is left of the server is ended before it starts again', async () => {
  await single.do({ kind: 'startPrimary' });
  const ended = single.ended;
  const [checkpointer = 0] = processes(single, /checkpointer/);
  await freeze(checkpointer);
  kill(pidOf(single), 'SIGKILL');
  await eventually(() => expect(single.ended).toBe(ended + 1));
  expect(single.server.pid()).toBeUndefined();
  const view = await single.seen('stopped');
  expect(view).toMatchObject({ clean: false, wasPrimary: true });
  // It is frozen and holds the shared memory still.
  expect(processes(single, /checkpointer/)).toEqual([checkpointer]);
  const started = await single.do({ kind: 'startPrimary' });
  expect(started.log?.position.lsn).toBeGreaterThanOrEqual(view.position.lsn);
  expect(single.ended).toBe(ended + 1);
});

test('a restarted agent finds the running server, hears of its end, and stops it', async () => {
  await single.do({ kind: 'startPrimary' });
  const pid = pidOf(single);
  await single.restartAgent();
  expect(single.server.pid()).toBe(pid);
  expect((await single.seen('primary')).setting).toEqual({ sync: ['matriarch_none'], k: 1 });
  kill(pid, 'SIGKILL');
  await eventually(() => expect(single.ended).toBe(1));
  await single.do({ kind: 'startPrimary' });
  await single.restartAgent();
  const stopped = await single.do({ kind: 'stop', mode: 'fast' });
  expect(single.processes()).toEqual([]);
  const view = await single.seen('stopped');
  expect(view).toMatchObject({ clean: true, wasPrimary: true, redoBytes: 0, position: stopped.log?.position });
});

test('a frozen postmaster is stuck although its backends answer; killing it ends a frozen backend too', async () => {
  await single.do({ kind: 'startPrimary' });
  await single.seen('primary');
  const [walwriter = 0] = processes(single, /walwriter/);
  await freeze(walwriter);
  await freeze(pidOf(single));
  expect(await single.seen('stuck')).toMatchObject({ why: expect.stringContaining('SIGSTOP') });
  expect(await single.run({ kind: 'gate', open: true, cut: false })).toMatchObject({ ok: false, code: 'failed' });
  const ended = single.ended;
  await single.do({ kind: 'stop', mode: 'kill' });
  expect(single.processes()).toEqual([]);
  expect(single.ended).toBe(ended + 1);
});

test('on a server that is frozen as a whole every look and every job ends, and a fast stop kills', async () => {
  await single.do({ kind: 'startPrimary' });
  for (const pid of processes(single, /./)) await freeze(pid);
  expect((await single.observe()).state).toBe('stuck');
  const jobs = [
    { kind: 'slots', keep: [] },
    { kind: 'drain', timeoutMs: 100 },
    { kind: 'checkpoint' },
    { kind: 'setSync', setting: { sync: ['x'], k: 1 }, wait: false },
    { kind: 'gate', open: true, cut: true },
  ] as const;
  for (const job of jobs) expect(await single.run(job)).toMatchObject({ ok: false, code: 'failed' });
  await single.do({ kind: 'stop', mode: 'fast' });
  expect(single.processes()).toEqual([]);
  expect(await single.seen('stopped')).toMatchObject({ clean: false });
});

test('stop overtakes a start that waits', async () => {
  const starting = single.run({ kind: 'startPrimary' });
  await eventually(() => expect(single.server.pid()).toBeDefined());
  await freeze(pidOf(single));
  await single.do({ kind: 'stop', mode: 'kill' });
  expect(await starting).toMatchObject({ ok: false, code: 'cancelled' });
  expect(single.processes()).toEqual([]);
});

test('a port that somebody else has is named, and nothing runs', async () => {
  const foreign = createServer().listen(single.options.port, '127.0.0.1');
  try {
    const result = await single.run({ kind: 'startPrimary' });
    expect(result).toMatchObject({ ok: false, code: 'failed' });
    expect(!result.ok && result.why).toContain(`127.0.0.1:${single.options.port} is in use`);
    expect(single.server.pid()).toBeUndefined();
  } finally {
    await new Promise((resolve) => foreign.close(resolve));
  }
});

test('slots are exactly those of the members, and those of others are not touched', async () => {
  await primary.sql("SELECT pg_create_physical_replication_slot('backup_tool')");
  const names = async () =>
    (await primary.sql('SELECT slot_name FROM pg_replication_slots ORDER BY 1')).map((row) => row.slot_name);
  await primary.do({ kind: 'slots', keep: ['n-9_abc', standby.incarnation] });
  expect(await names()).toEqual(['backup_tool', `matriarch_${standby.incarnation}`, 'matriarch_n_9_abc'].sort());
  const reserved = "SELECT restart_lsn IS NOT NULL FROM pg_replication_slots WHERE slot_name = 'matriarch_n_9_abc'";
  expect(await primary.value(reserved)).toBe('true');
  // One that is in use: whoever streams through it is cut off, and comes back when there is one again.
  await primary.do({ kind: 'slots', keep: [] });
  expect(await names()).toEqual(['backup_tool']);
  await primary.do({ kind: 'slots', keep: [standby.incarnation] });
  await streams(standby);
  await primary.sql("SELECT pg_drop_replication_slot('backup_tool')");
});

test('drain waits for the transactions that are open now, and for no later ones', async () => {
  const client = await primary.connectClient();
  await client.query('BEGIN');
  await client.query('SELECT 1');
  const looking = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%xact_start%' AND pid <> pg_backend_pid()";
  let drained = false;
  const drain = primary.do({ kind: 'drain', timeoutMs: 60_000 }).then(() => {
    drained = true;
  });
  await eventually(async () => expect(await primary.value(looking)).toBe('1'));
  const later = await primary.connectClient();
  await later.query('BEGIN');
  await later.query('SELECT 1');
  expect(drained).toBe(false);
  await client.query('COMMIT');
  await drain;
  // One that does not end is left when the time is up.
  await primary.do({ kind: 'drain', timeoutMs: 1 });
  expect((await later.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
  await later.query('COMMIT');
});

test('parameters of the cluster are reloaded, and those that need a restart are named', async () => {
  await single.do({ kind: 'startPrimary' });
  const { parameters } = single.options;
  const pending = await single.server.updateParameters({ ...parameters, work_mem: '7MB', max_connections: '33' });
  expect(pending).toEqual(['max_connections']);
  await eventually(async () => expect(await single.value('SHOW work_mem')).toBe('7MB'));
  await single.do({ kind: 'stop', mode: 'fast' });
  await single.do({ kind: 'startPrimary' });
  expect(await single.value('SHOW max_connections')).toBe('33');
});

test('a parameter that PostgreSQL does not take is told with its reason, and one that waits for a restart is none', async () => {
  await single.do({ kind: 'startPrimary' });
  const { parameters } = single.options;
  const before = (await single.server.parametersInForce()).values.max_connections;
  await single.server.updateParameters({ ...parameters, work_mem: 'lots', max_connections: '34' });
  await eventually(async () => {
    const { refused, pendingRestart, values } = await single.server.parametersInForce();
    expect(refused).toEqual({ work_mem: 'PostgreSQL does not take lots' });
    expect([pendingRestart, values.max_connections]).toEqual([['max_connections'], before]);
  });
  await single.server.updateParameters({ ...parameters, no_such: '1' });
  await eventually(async () => {
    const { refused } = await single.server.parametersInForce();
    expect(refused).toEqual({ no_such: expect.stringContaining('unrecognized') });
  });
  await single.server.updateParameters(parameters);
  await eventually(async () => expect((await single.server.parametersInForce()).refused).toEqual({}));
});

test('a socket folder whose path is too long is replaced by a private one', async () => {
  const deep = await servers.add('deep', { socketDir: `${servers.folder}/${'long/'.repeat(20)}run` });
  expect(deep.layout.socketDir).not.toContain('long');
  await deep.do({ kind: 'bootstrap' });
  expect(await deep.value('SELECT 1')).toBe('1');
  expect(statSync(deep.layout.socketDir).mode & 0o777).toBe(0o700);
});
