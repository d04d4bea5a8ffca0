import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { secretsSchema } from '#domain/config/cluster-description.ts';
import { memberConfigSchema } from '#domain/config/member-config.ts';
import { composeMember } from './compose-member.ts';
import { copyMounts } from './mounted-files.ts';
import { readPodEnvironment } from './pod-environment.ts';
import { type PodPaths, podPaths } from './pod-paths.ts';
import { tightenModes } from './tighten-modes.ts';

let root: string;
let paths: PodPaths;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'matriarch-pod-'));
  paths = podPaths(root);
  for (const file of ['ca.crt', 'proxy-ca.crt', 'db-0.crt', 'db-0.key', 'db-1.crt', 'db-1.key'])
    put(paths.mountedTls, file, file);
  for (const login of ['superuser', 'agent', 'replication']) {
    put(paths.mountedSecrets, `${login}/username`, login);
    put(paths.mountedSecrets, `${login}/password`, `of ${login}\n`);
  }
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(folder: string, name: string, text: string): void {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o644 });
}

const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('What is mounted', () => {
  test('is made into files that PostgreSQL and the agent accept, with this member’s key and no other', async () => {
    await copyMounts(paths, 'db-0');
    expect(await readFile(join(paths.tls, 'member.key'), 'utf8')).toBe('db-0.key');
    expect(await readFile(join(paths.tls, 'member.crt'), 'utf8')).toBe('db-0.crt');
    for (const file of ['member.key', 'member.crt', 'ca.crt', 'proxy-ca.crt']) expect(modeOf(join(paths.tls, file))).toBe(0o600);
    expect(modeOf(paths.secrets)).toBe(0o600);
    const secrets = secretsSchema.parse(JSON.parse(await readFile(paths.secrets, 'utf8')));
    expect(secrets.superuser).toEqual({ name: 'superuser', password: 'of superuser' });
  });

  test('is copied again where it has changed, and only there', async () => {
    await copyMounts(paths, 'db-0');
    const before = await stat(join(paths.tls, 'member.key'));
    put(paths.mountedSecrets, 'superuser/password', 'another');
    await copyMounts(paths, 'db-0');
    expect(JSON.parse(await readFile(paths.secrets, 'utf8')).superuser.password).toBe('another');
    expect((await stat(join(paths.tls, 'member.key'))).ino).toBe(before.ino);
  });

  test('that is incomplete is refused with the name of the file', async () => {
    rmSync(join(paths.mountedSecrets, 'agent/password'));
    await expect(copyMounts(paths, 'db-0')).rejects.toMatchObject({
      code: 'config.unreadable',
      message: expect.stringContaining('agent/password'),
    });
    put(paths.mountedSecrets, 'agent/password', '\n');
    await expect(copyMounts(paths, 'db-0')).rejects.toMatchObject({ code: 'config.invalid' });
  });
});

test('the permissions that a mount gives the group are taken back, but not inside of the data directory', async () => {
  const files = ['promise.json', 'replication.pgpass', 'postgres/server.key', 'data/PG_VERSION', 'data.new/PG_VERSION'];
  for (const file of files) put(paths.memberDir, file, '');
  for (const folder of ['postgres', 'data', 'data.new']) chmodSync(join(paths.memberDir, folder), 0o2770);
  for (const file of files) chmodSync(join(paths.memberDir, file), 0o660);
  await tightenModes(paths.memberDir);
  for (const file of files.slice(0, 3)) expect(modeOf(join(paths.memberDir, file)), file).toBe(0o600);
  for (const folder of ['postgres', 'data', 'data.new']) expect(modeOf(join(paths.memberDir, folder)), folder).toBe(0o700);
  expect(modeOf(join(paths.memberDir, 'data/PG_VERSION'))).toBe(0o660);
});

test('so are those on the volume of the log, but not inside of one', async () => {
  const volume = join(root, 'wal');
  put(volume, 'db.db-0/pg_wal.3/000000010000000000000001', '');
  for (const folder of ['db.db-0', 'db.db-0/pg_wal.3']) chmodSync(join(volume, folder), 0o2770);
  chmodSync(join(volume, 'db.db-0/pg_wal.3/000000010000000000000001'), 0o660);
  await tightenModes(volume);
  for (const folder of ['db.db-0', 'db.db-0/pg_wal.3']) expect(modeOf(join(volume, folder)), folder).toBe(0o700);
  expect(modeOf(join(volume, 'db.db-0/pg_wal.3/000000010000000000000001'))).toBe(0o660);
});

const ENV = { MATRIARCH_CLUSTER: 'db', POD_NAME: 'db-0', POD_IP: '10.1.2.3', POD_NAMESPACE: 'apps' };

test.each([
  ['10.1.2.3', '0.0.0.0'],
  ['fd00::5', '::'],
])('a pod at %s is a member that others reach there, and that listens at %s', (ip, listen) => {
  const config = memberConfigSchema.parse(composeMember(readPodEnvironment({ ...ENV, POD_IP: ip }), podPaths(), '/usr/bin'));
  expect(config).toMatchObject({ name: 'db-0', host: ip, listen, api: { host: ip, port: 7432, listen } });
  expect(config.store).toMatchObject({ kind: 'kubernetes', namespace: 'apps' });
});

test('a pod with a volume for its log has it there', () => {
  const environment = readPodEnvironment({ ...ENV, MATRIARCH_WAL_DIR: '/var/lib/matriarch-wal' });
  expect(memberConfigSchema.parse(composeMember(environment, podPaths(), '/usr/bin')).walDir).toBe('/var/lib/matriarch-wal');
  expect(composeMember(readPodEnvironment(ENV), podPaths(), '/usr/bin')).not.toHaveProperty('walDir');
});

test('a pod that is told how the first server is made tells its agent', () => {
  const environment = readPodEnvironment({ ...ENV, MATRIARCH_INITDB: '{"encoding":"LATIN1","locale":"C"}' });
  const config = memberConfigSchema.parse(composeMember(environment, podPaths(), '/usr/bin'));
  expect(config.initdb).toEqual({ encoding: 'LATIN1', locale: 'C', dataChecksums: true, walSegmentSizeMb: 16 });
  expect(() => readPodEnvironment({ ...ENV, MATRIARCH_INITDB: 'LATIN1' })).toThrow('MATRIARCH_INITDB');
});

test.each(Object.keys(ENV))('without %s a pod says so', (name) => {
  expect(() => readPodEnvironment({ ...ENV, [name]: undefined })).toThrow(name);
});
