import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteStore } from '#adapters/store/sqlite/sqlite-store.ts';
import { clusterPaths } from '#domain/config/cluster-paths.ts';
import { initialClusterConfig } from '#domain/config/parse-config.ts';
import { type Finished, PROGRAM, runMatriarch } from '#programs/cli/run-matriarch.ts';
import { createCluster } from './create-cluster.ts';
import { findPostgres } from './find-postgres.ts';
import { chooseServerUser } from './server-user.ts';

// What `matriarch up` refuses before it has changed anything.

let folder: string;
const servers: Server[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matriarch-up-'));
  chmodSync(folder, 0o755);
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(folder, { recursive: true });
});

function expectRefusal(result: Finished, code: string, text: string): void {
  expect(result.stderr).toContain(`matriarch: ${code}: `);
  expect(result.stderr).toContain(text);
  expect(result.stdout).toBe('');
  expect(result.code).toBeGreaterThan(0);
}

/** Listens on a free port and answers every client with `answer`. */
async function occupy(answer: string): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(answer)));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

test.each([
  ['another program', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'port.taken'],
  ['a PostgreSQL server', 'S', 'postgres.foreignServer'],
])('the port of %s is left alone', async (_, answer, code) => {
  const port = await occupy(answer);
  expectRefusal(
    await runMatriarch(['up', '--dir', join(folder, 'c'), '--port', String(port)]),
    code,
    `127.0.0.1:${port}, the port of n1`,
  );
  expect(readdirSync(folder)).toEqual([]);
});

test('a folder with something else in it is left alone', async () => {
  mkdirSync(join(folder, 'c'));
  writeFileSync(join(folder, 'c', 'thesis.txt'), 'chapter one');
  expectRefusal(await runMatriarch(['up', '--dir', join(folder, 'c')]), 'cluster.foreignFolder', 'holds thesis.txt');
  expect(readdirSync(join(folder, 'c'))).toEqual(['thesis.txt']);
});

function fakePostgres(
  version: string,
  programs = ['postgres', 'initdb', 'pg_ctl', 'pg_basebackup', 'pg_rewind', 'pg_controldata', 'pg_waldump', 'psql'],
) {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const program of programs)
    writeFileSync(join(bin, program), `#!/bin/sh\necho "${program} (PostgreSQL) ${version}"\n`, { mode: 0o755 });
  return bin;
}

test('a PostgreSQL that is too old', async () => {
  const result = await runMatriarch(['up', '--dir', join(folder, 'c'), '--postgres-bin', fakePostgres('13.14')]);
  expectRefusal(result, 'postgres.tooOld', 'PostgreSQL 13.14');
  expect(readdirSync(folder)).toEqual(['bin']);
});

test('a PostgreSQL of which a program is missing', async () => {
  const result = await runMatriarch([
    'up',
    '--dir',
    join(folder, 'c'),
    '--postgres-bin',
    fakePostgres('15.18', ['postgres', 'initdb']),
  ]);
  expectRefusal(result, 'postgres.notFound', 'lacks pg_ctl, pg_basebackup');
});

test('a folder of programs that does not exist', async () => {
  const result = await runMatriarch(['up', '--dir', join(folder, 'c'), '--postgres-bin', join(folder, 'nowhere')]);
  expectRefusal(result, 'postgres.notFound', `there is no folder ${folder}/nowhere`);
});

test('an old PostgreSQL in PATH is passed over for a newer one of the distribution', async () => {
  const bin = fakePostgres('12.1');
  expect((await findPostgres(undefined, bin)).major).toBeGreaterThanOrEqual(14);
});

test('a path too long for the address of a socket', async () => {
  expectRefusal(await runMatriarch(['up', '--dir', join(folder, 'x'.repeat(100))]), 'folder.pathTooLong', 'bytes');
  expect(readdirSync(folder)).toEqual([]);
});

test('one member cannot require a second one', async () => {
  const result = await runMatriarch(['up', '--dir', join(folder, 'c'), '--members', '1', '--durability', 'required']);
  expectRefusal(result, 'config.invalid', 'durability.mode');
});

/** In a mount namespace of its own, so that nothing is left mounted whatever happens. */
function upOnMount(options: string): Finished {
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user', '--user'];
  const script = 'mount -t tmpfs -o "$1" tmpfs "$2" && exec "$3" up --dir "$2/c"';
  const result = spawnSync('unshare', ['--mount', ...asRoot, 'sh', '-c', script, 'sh', options, folder, PROGRAM], {
    encoding: 'utf8',
  });
  return { code: result.status ?? 1, stdout: result.stdout, stderr: result.stderr };
}

test('a read-only disk', () => {
  expectRefusal(upOnMount('ro'), 'disk.readOnly', folder);
});

test('a disk without room', () => {
  expectRefusal(upOnMount('size=8m'), 'disk.full', 'has room for');
});

test('a folder that the user of the servers cannot enter', async () => {
  const closed = join(folder, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  const user = await chooseServerUser();
  // An ordinary user runs the servers too, and enters whatever is its own; then a folder of root's is the one that is closed.
  if (user === undefined) expectRefusal(await runMatriarch(['up', '--dir', '/root/c']), 'disk.denied', '/root');
  else
    expectRefusal(
      await runMatriarch(['up', '--dir', join(closed, 'c')]),
      'folder.unreachable',
      `${user.user} may not enter ${closed}`,
    );
  expect(readdirSync(closed)).toEqual([]);
});

/** A cluster that was never started, with free ports of its own. */
async function makeCluster() {
  const paths = clusterPaths(join(folder, 'c'));
  mkdirSync(paths.dir, { mode: 0o755 });
  writeFileSync(join(paths.dir, 'unfinished'), '');
  const ports = [];
  for (let index = 0; index < 2; index++) ports.push({ port: await occupy(''), apiPort: await occupy('') });
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  const postgres = await findPostgres(undefined);
  const serverUser = await chooseServerUser();
  const config = initialClusterConfig(2);
  const description = await createCluster({
    paths,
    name: 'main',
    host: '127.0.0.1',
    ports,
    proxy: null,
    postgres,
    serverUser,
    config,
  });
  return { paths, description, postgres, serverUser };
}

test('no secret is written where others can read it', async () => {
  const { paths } = await makeCluster();
  const secrets = JSON.parse(await readFile(paths.secrets, 'utf8')) as Record<string, { password?: string }>;
  const passwords = Object.values(secrets).flatMap(({ password }) => (password === undefined ? [] : [password]));
  expect(new Set(passwords).size).toBe(3);
  const open = execFileSync('find', [paths.dir, '-type', 'f', '-perm', '/077'], { encoding: 'utf8' }).split('\n').filter(Boolean);
  expect(open.filter((file) => file !== paths.ca && !file.endsWith('/unfinished'))).toEqual([]);
  expect(await readFile(paths.ca, 'utf8')).not.toContain('PRIVATE');
});

test('what root reads is nowhere that the user of the servers can change', async () => {
  const { paths, serverUser } = await makeCluster();
  const theirs = execFileSync('find', [paths.dir, '-uid', String(serverUser?.uid ?? 4_000_000)], { encoding: 'utf8' }).split(
    '\n',
  );
  expect(theirs.filter(Boolean).sort()).toEqual(serverUser === undefined ? [] : [paths.member('n1').run, paths.member('n2').run]);
});

test('options of a new cluster that contradict the old one', async () => {
  const { paths } = await makeCluster();
  for (const [option, value] of [
    ['--members', '5'],
    ['--name', 'other'],
    ['--port', '1'],
    ['--durability', 'async'],
  ] as const)
    expectRefusal(await runMatriarch(['up', '--dir', paths.dir, option, value]), 'cluster.differs', `${option} ${value}`);
});

test('a cluster that somebody supervises', async () => {
  const { paths } = await makeCluster();
  const lock = new DatabaseSync(paths.lock);
  lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  expect((await runMatriarch(['up', '--dir', paths.dir])).stderr).toContain('matriarch: cluster.alreadyUp: ');
  lock.close();
});

/** As the user of the servers, since initdb refuses to run as root. */
function initdb(data: string, bin: string, user: { readonly uid: number; readonly gid: number } | undefined): void {
  mkdirSync(data);
  if (user !== undefined) execFileSync('chown', [`${user.uid}:${user.gid}`, data]);
  execFileSync(join(bin, 'initdb'), ['-D', data, '--no-sync', '--auth=reject'], { stdio: 'pipe', cwd: '/', ...user });
}

test('a data directory of another cluster', async () => {
  const { paths, postgres, serverUser } = await makeCluster();
  const { data } = paths.member('n2');
  initdb(data, postgres.bin, serverUser);
  const store = await openSqliteStore({ file: paths.store });
  await store.put('identity', { systemIdentifier: '7000000000000000001', by: 'n1' });
  await store.close();
  expectRefusal(await runMatriarch(['up', '--dir', paths.dir]), 'cluster.foreignSystem', `${data} has the system identifier`);
});

test('a data directory of another major version', async () => {
  const { paths } = await makeCluster();
  mkdirSync(paths.member('n1').data);
  writeFileSync(join(paths.member('n1').data, 'PG_VERSION'), '13\n');
  expectRefusal(await runMatriarch(['up', '--dir', paths.dir]), 'postgres.wrongVersion', 'is of PostgreSQL 13');
});

test('a port that somebody took while the cluster was down', async () => {
  const { paths, description } = await makeCluster();
  const server = createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end('N')));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(description.members[1]?.port, '127.0.0.1', resolve));
  expectRefusal(await runMatriarch(['up', '--dir', paths.dir]), 'postgres.foreignServer', 'the port of n2');
});
