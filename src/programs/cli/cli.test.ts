import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROGRAM, runMatriarch } from './run-matriarch.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matriarch-cli-'));
});
afterAll(() => rm(folder, { recursive: true }));

test.each([
  [['statsu'], 'usage.unknownCommand', 'did you mean status?'],
  [['status', '--wacth'], 'usage.unknownOption', 'did you mean --watch?'],
  [['up', '--members', '99'], 'usage.invalidArgument', 'from 1 to 16'],
  [['up', '--members', '3x'], 'usage.invalidArgument', 'from 1 to 16'],
  [['up', '--port', '70000'], 'usage.invalidArgument', 'from 1 to 65535'],
  [['up', '--name', 'Main Cluster'], 'usage.invalidArgument', 'lower-case letters'],
  [['up', '--durability', 'always'], 'usage.invalidArgument', 'required, preferred, async'],
  [['up', 'here'], 'usage.invalidArgument', 'too many arguments'],
  [['restart'], 'usage.invalidArgument', 'member'],
  [['status', '-o', 'xml'], 'usage.invalidArgument', 'table, json'],
  [['psql', '--primary', '--replica'], 'usage.invalidArgument', 'cannot be used with'],
  [['config'], 'usage.invalidArgument', 'show, set, edit'],
  [['config', 'shwo'], 'usage.unknownCommand', 'did you mean show?'],
])('%j is refused as a mistake on the command line', async (args, code, text) => {
  const result = await runMatriarch(args);
  expect(result).toMatchObject({ code: 2, stdout: '' });
  expect(result.stderr).toContain(`matriarch: ${code}: `);
  expect(result.stderr).toContain(text);
  expect(result.stderr).toContain('next: ');
});

test('without a command, and with --help, the commands are listed', async () => {
  const [bare, help] = await Promise.all([runMatriarch([]), runMatriarch(['--help'])]);
  expect(bare).toMatchObject({ code: 0, stderr: '' });
  expect(bare.stdout).toBe(help.stdout);
  expect(bare.stdout).toContain('switchover');
});

test('a folder without a cluster', async () => {
  const result = await runMatriarch(['status'], { MATRIARCH_DIR: folder });
  expect(result.code).toBe(3);
  expect(result.stderr).toContain(`matriarch: cluster.notFound: ${folder} holds no cluster.`);
});

const DESCRIPTION = {
  version: 1,
  cluster: 'main',
  createdAt: '2025-01-01T00:00:00.000Z',
  postgresBin: '/nonexistent',
  postgresVersion: '15.18',
  members: [
    { name: 'n1', host: '127.0.0.1', port: 5433, apiPort: 5533 },
    { name: 'n2', host: '127.0.0.1', port: 5434, apiPort: 5534 },
  ],
};

async function describe(text: string): Promise<string> {
  const dir = await mkdtemp(join(folder, 'cluster-'));
  await writeFile(join(dir, 'cluster.json'), text);
  return dir;
}

test.each([
  ['damaged', '{"version": 1, "cluster"', 'cluster.json, line 1'],
  ['written by a newer version', JSON.stringify({ ...DESCRIPTION, version: 2 }, null, 2), 'cluster.json, line 2: version'],
  ['empty', '', 'cluster.json'],
])('a description that is %s', async (_, text, message) => {
  const result = await runMatriarch(['status', '--dir', await describe(text)]);
  expect(result.stderr).toContain('matriarch: cluster.malformed: ');
  expect(result.stderr).toContain(message);
});

test('a cluster that does not run is shown, and the exit code says it', async () => {
  const dir = await describe(JSON.stringify(DESCRIPTION));
  const [table, json] = await Promise.all([
    runMatriarch(['status', '--dir', dir]),
    runMatriarch(['status', '--dir', dir, '-o', 'json']),
  ]);
  expect(table.code).toBe(3);
  expect(table.stdout).toContain('n2: its agent does not run');
  expect(json.code).toBe(3);
  expect(JSON.parse(json.stdout)).toMatchObject({
    cluster: 'main',
    leader: null,
    members: [{ state: 'unreachable' }, { state: 'unreachable' }],
  });
});

test.each([
  [['restart', 'n3'], 3, 'member.unknown', 'main has no member n3 (it has n1, n2); did you mean n1?'],
  [['logs', 'primary'], 3, 'member.unknown', 'main has no member primary (it has n1, n2)'],
  [['switchover', '--to', 'm2'], 3, 'member.unknown', 'did you mean n2?'],
  [['restart', 'n2'], 3, 'member.notRunning', 'n2: its agent does not run'],
  [['switchover'], 3, 'cluster.notRunning', 'none of the 2 agents of main answers'],
  [['pause'], 3, 'cluster.notRunning', 'main'],
  [['config', 'show'], 3, 'cluster.notRunning', 'main'],
  [['psql'], 1, 'disk.denied', 'connection.json'],
  [['up'], 1, 'postgres.notFound', '/nonexistent'],
])('%j of a cluster that does not run', async (args, code, error, text) => {
  const result = await runMatriarch([...args, '--dir', await describe(JSON.stringify(DESCRIPTION))]);
  expect(result.stderr).toContain(`matriarch: ${error}: `);
  expect(result.stderr).toContain(text);
  expect(result.code).toBe(code);
});

test('down --purge deletes the cluster, and nothing that somebody else put into its folder', async () => {
  const dir = await describe(JSON.stringify(DESCRIPTION));
  await writeFile(join(dir, 'notes.txt'), 'mine');
  expect(await runMatriarch(['down', '--purge', '--dir', dir])).toMatchObject({ code: 0 });
  expect(await readdir(dir)).toEqual(['notes.txt']);
  await rm(join(dir, 'notes.txt'));
  await writeFile(join(dir, 'cluster.json'), JSON.stringify(DESCRIPTION));
  await runMatriarch(['down', '--purge', '--dir', dir]);
  expect(existsSync(dir)).toBe(false);
});

test('a reader that goes away early is no failure', async () => {
  const dir = await describe(JSON.stringify(DESCRIPTION));
  const shell = spawnSync('bash', ['-o', 'pipefail', '-c', '"$0" status -o json --watch --dir "$1" | head -n 1', PROGRAM, dir], {
    encoding: 'utf8',
  });
  expect(JSON.parse(shell.stdout)).toMatchObject({ cluster: 'main' });
  expect(shell).toMatchObject({ status: 0, stderr: '' });
});
