import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isAlive, kill, readProcess, startTimeOf } from '#adapters/process/processes.ts';
import { clusterPaths } from '#domain/config/cluster-paths.ts';
import { type StatusDocument, statusDocumentSchema } from '#domain/status-document.ts';
import { runMatriarch } from '#programs/cli/run-matriarch.ts';
import { readHolder } from './supervisor-lock.ts';

// One cluster through its whole life, by the command line alone. The tests build on each other.

let folder: string;
let dir: string;
const run = (...args: string[]) => runMatriarch([...args, '--dir', dir]);
const DEADLINE_MS = 60_000;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matriarch-life-'));
  chmodSync(folder, 0o755);
  dir = join(folder, 'c');
});
afterAll(async () => {
  if (existsSync(dir)) await run('down', '--purge');
  await rm(folder, { recursive: true });
});

async function status(): Promise<StatusDocument> {
  return statusDocumentSchema.parse(JSON.parse((await run('status', '-o', 'json')).stdout));
}

/** Awaits a state of the cluster; what it was instead is in the error. */
async function until(what: string, holds: (document: StatusDocument) => boolean): Promise<StatusDocument> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const document = await status();
    if (holds(document)) return document;
    if (performance.now() > deadline) throw new Error(`not ${what}: ${JSON.stringify(document.members, null, 1)}`);
    await sleep(100);
  }
}

const complete = ({ leader, durability, members }: StatusDocument) =>
  durability.k === 1 &&
  members.every((member) => (member.name === leader ? member.state === 'primary' : member.state === 'streaming'));

function pidsOf(document: StatusDocument): number[] {
  return document.members
    .flatMap(({ agentPid, guardPid, postgresPid }) => [agentPid, guardPid, postgresPid])
    .filter((pid) => pid !== null);
}

async function sql(text: string, ...target: string[]): Promise<string> {
  const result = await runMatriarch(['psql', '--dir', dir, ...target, '--', '-XAtc', text]);
  if (result.code !== 0) throw new Error(result.stderr);
  return result.stdout.trim();
}

test('up makes a cluster and says how to reach it', async () => {
  const result = await run('up', '--detach');
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toMatch(/^n[123]: streaming/m);
  const document = await status();
  expect(complete(document)).toBe(true);
  expect(document).toMatchObject({ cluster: 'main', paused: false, durability: { mode: 'required', degradedSince: null } });
  expect(result.stdout).toContain(document.connection.readWrite ?? 'no URL');
  expect(document.members.filter((member) => member.role === 'primary').map((member) => member.name)).toEqual([document.leader]);
});

test('psql reaches the primary, a standby, and whom it is told to', async () => {
  expect(await sql('select pg_is_in_recovery()')).toBe('f');
  expect(await sql('select pg_is_in_recovery()', '--replica')).toBe('t');
  const { members } = await status();
  for (const { name, port, role } of members) {
    expect(await sql('show port', '--member', name)).toBe(String(port));
    expect(await sql('select pg_is_in_recovery()', '--member', name)).toBe(role === 'standby' ? 't' : 'f');
  }
  expect(await sql('select ssl from pg_stat_ssl where pid = pg_backend_pid()', '--replica')).toBe('t');
});

test('a second up says that it is up', async () => {
  expect((await run('up')).stderr).toContain('matriarch: cluster.alreadyUp: ');
});

test('the configuration is shown, changed as a whole, and refused as a whole', async () => {
  const bad = await run('config', 'set', 'maximumLagBytes=1MB', 'postgresql.parameters.fsync=off');
  expect(bad.stderr).toContain('config.owned');
  expect((await run('config', 'show')).stdout).toContain('maximumLagBytes: 16777216');
  const good = await run('config', 'set', 'maximumLagBytes=1MB');
  expect(good).toMatchObject({ code: 0, stdout: 'maximumLagBytes: 16777216 → 1048576\n' });
  expect(JSON.parse((await run('config', 'show', '-o', 'json')).stdout)).toMatchObject({ maximumLagBytes: 2 ** 20 });
  expect((await run('config', 'set', 'durability.count=3')).stderr).toContain('there are 3');
});

test('the configuration is edited in an editor', async () => {
  const edit = (EDITOR: string) => runMatriarch(['config', 'edit', '--dir', dir], { EDITOR, VISUAL: '' });
  const changed = await edit("sed -i 's/maximumLagBytes: .*/maximumLagBytes: 2MB/'");
  expect(changed).toMatchObject({ code: 0, stdout: 'maximumLagBytes: 1048576 → 2097152\n' });
  expect(await edit('true')).toMatchObject({ code: 0, stdout: 'Nothing was changed.\n' });
  expect((await edit("sed -i 's/paused: false/paused: perhaps/'")).stderr).toMatch(
    /config.invalid: .*config.yaml, line \d+: paused/,
  );
});

test('pause and resume', async () => {
  await run('pause');
  await until('paused', (document) => document.paused);
  await run('resume');
  await until('resumed', (document) => !document.paused);
});

test('a switchover, seen in status and history', async () => {
  const before = await status();
  const to = before.members.find((member) => member.role === 'standby')?.name ?? '';
  expect(await run('switchover', '--to', to)).toMatchObject({ code: 0 });
  const after = await until('complete under the new leader', (document) => document.leader === to && complete(document));
  expect(after.epoch).toBeGreaterThan(before.epoch ?? 0);
  const history = JSON.parse((await run('history', '-o', 'json')).stdout) as { member: string; cause: string }[];
  expect(history.at(-1)).toMatchObject({ member: to, cause: 'switchover' });
  expect((await run('explain')).stdout).toContain(to);
  expect((await run('logs', to, '-n', '20')).stdout).toContain('agent');
});

test('a failover while the leader serves is a switchover', async () => {
  const before = await status();
  expect((await run('failover', '--to', before.leader ?? '')).stderr).toContain('request.refused');
  expect(await run('failover')).toMatchObject({ code: 0 });
  const after = await until(
    'complete under another leader',
    (document) => document.leader !== before.leader && complete(document),
  );
  const history = JSON.parse((await run('history', '-o', 'json')).stdout) as { member: string; cause: string }[];
  expect(history.at(-1)).toMatchObject({ member: after.leader, cause: 'switchover' });
});

test('a standby is restarted, and cloned anew, and comes back', async () => {
  const before = await status();
  const victim = before.members.find((member) => member.role === 'standby');
  for (const request of ['restart', 'reinit']) {
    expect(await run(request, victim?.name ?? '')).toMatchObject({ code: 0 });
    const after = await until('complete again', complete);
    expect(after).toMatchObject({ leader: before.leader, epoch: before.epoch });
    expect(after.members.find((member) => member.name === victim?.name)?.postgresPid).not.toBe(victim?.postgresPid);
  }
});

test('a killed agent is started again, and its server goes on', async () => {
  const before = await status();
  const victim = before.members.find((member) => member.name === before.leader);
  kill(victim?.agentPid ?? 0, 'SIGKILL');
  const after = await until('complete again', (document) => {
    const member = document.members.find((one) => one.name === victim?.name);
    return complete(document) && member?.agentPid !== victim?.agentPid;
  });
  expect(after).toMatchObject({ leader: before.leader, epoch: before.epoch });
  expect(after.members.find((one) => one.name === victim?.name)?.postgresPid).toBe(victim?.postgresPid);
});

test('a killed supervisor leaves the members running; up takes them over', async () => {
  const before = await status();
  const holder = readHolder(clusterPaths(dir).lockHolder);
  kill(holder?.pid ?? 0, 'SIGKILL');
  const result = await run('up', '--detach');
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(pidsOf(await until('complete', complete))).toEqual(pidsOf(before));
});

test('everything is killed at once, and comes back with its data', async () => {
  await sql('create table kept (id int); insert into kept select generate_series(1, 1000)');
  const before = await status();
  const holder = readHolder(clusterPaths(dir).lockHolder);
  for (const pid of [holder?.pid ?? 0, ...pidsOf(before)]) kill(pid, 'SIGKILL');
  expect(await run('up', '--detach')).toMatchObject({ code: 0, stderr: '' });
  await until('complete', complete);
  expect(await sql('select count(*) from kept')).toBe('1000');
});

test('no secret in a log, an argument list or a file that others can read', async () => {
  const secrets = JSON.parse(readFileSync(clusterPaths(dir).secrets, 'utf8')) as Record<string, { password?: string }>;
  const passwords = Object.values(secrets).flatMap(({ password }) => (password === undefined ? [] : [password]));
  const holdsOne = (text: string) => passwords.some((password) => text.includes(password));
  expect(passwords.length).toBe(3);
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const entry of files) {
    const path = join(entry.parentPath, entry.name);
    const open = (statSync(path).mode & 0o077) !== 0;
    if (open || path.includes('/logs/') || path.endsWith('.log'))
      expect([path, holdsOne(readFileSync(path, 'latin1'))]).toEqual([path, false]);
  }
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const line = existsSync(`/proc/${pid}/cmdline`) && readProcess(Number(pid)) ? safeRead(`/proc/${pid}/cmdline`) : '';
    expect([line, holdsOne(line)]).toEqual([line, false]);
  }
});

/** A process may end between the listing and the reading. */
function safeRead(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

test('down ends everything; up brings it back; down --purge leaves nothing', async () => {
  const running = pidsOf(await status()).map((pid) => ({ pid, startTime: startTimeOf(pid) ?? 0 }));
  const supervisor = readHolder(clusterPaths(dir).lockHolder);
  expect(await run('down')).toMatchObject({ code: 0 });
  expect(running.filter(({ pid, startTime }) => isAlive(pid, startTime))).toEqual([]);
  expect(supervisor === undefined || isAlive(supervisor.pid, supervisor.startTime)).toBe(false);
  expect(await run('down')).toMatchObject({ code: 0 });
  expect((await run('up', '--detach')).code).toBe(0);
  expect(await sql('select count(*) from kept')).toBe('1000');
  expect(await run('down', '--purge')).toMatchObject({ code: 0 });
  expect(existsSync(dir)).toBe(false);
});
