import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { fillDisk, smallDisk } from '../../../../test/support/small-disk.ts';
import { TestServers } from '../testing/test-cluster.ts';
import { eventually, type TestServer } from '../testing/test-server.ts';

let servers: TestServers;
const undo: (() => unknown)[] = [];

beforeAll(async () => {
  servers = await TestServers.open();
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});
afterAll(() => servers.end());

/** For one test. */
async function add(name: string): Promise<TestServer> {
  const server = await servers.add(name);
  undo.push(() => servers.remove(server));
  return server;
}

const identifierOf = (server: TestServer) => server.value('SELECT system_identifier FROM pg_control_system()');

describe('A bootstrap', () => {
  test('that is asked for again tells the server that it made', async () => {
    const server = await add('again');
    const { systemIdentifier } = await server.do({ kind: 'bootstrap' });
    expect(systemIdentifier).toBe(await identifierOf(server));
    expect((await server.do({ kind: 'bootstrap' })).systemIdentifier).toBe(systemIdentifier);
    await server.do({ kind: 'stop', mode: 'kill' });
    await server.restartAgent();
    expect((await server.do({ kind: 'bootstrap' })).systemIdentifier).toBe(systemIdentifier);
    expect(await identifierOf(server)).toBe(systemIdentifier);
  });

  test('that was interrupted leaves nothing behind that counts, and succeeds the next time', async () => {
    const server = await add('interrupted');
    const running = server.run({ kind: 'bootstrap' });
    await eventually(() => expect(existsSync(join(server.layout.newDataDir, 'PG_VERSION'))).toBe(true));
    await server.do({ kind: 'stop', mode: 'kill' });
    expect(await running).toMatchObject({ ok: false, code: 'cancelled' });
    expect(await server.observe()).toEqual({ state: 'absent' });
    await server.do({ kind: 'bootstrap' });
    expect((await server.seen('primary')).gateOpen).toBe(false);
    expect(existsSync(server.layout.newDataDir)).toBe(false);
  });

  test('never puts a password into the log or the data directory', async () => {
    const server = await add('verifiers');
    await server.do({ kind: 'bootstrap' });
    expect(await server.value("SELECT bool_and(rolpassword LIKE 'SCRAM-SHA-256$4096:%') FROM pg_authid WHERE rolcanlogin")).toBe(
      'true',
    );
    const secrets = Object.values(server.options.secrets).map(({ password }: { password: string }) => password);
    await server.do({ kind: 'stop', mode: 'fast' });
    const found = spawnSync('grep', ['-rlaF', ...secrets.flatMap((secret) => ['-e', secret]), server.options.memberDir], {
      encoding: 'utf8',
    });
    expect(found.stdout).toBe('');
    expect(found.status).toBe(1);
  });
});

describe('A start', () => {
  test('of a directory that another major version made says so', async () => {
    const server = await add('version');
    await server.do({ kind: 'bootstrap' });
    await server.do({ kind: 'stop', mode: 'fast' });
    const file = join(server.layout.dataDir, 'PG_VERSION');
    const version = readFileSync(file, 'utf8');
    writeFileSync(file, '13\n');
    const result = await server.run({ kind: 'startPrimary' });
    expect(result).toMatchObject({ ok: false, code: 'failed', why: expect.stringMatching(/made by PostgreSQL 13\b/) });
    expect(server.processes()).toEqual([]);
    writeFileSync(file, version);
    await server.do({ kind: 'startPrimary' });
  });

  test('with a parameter that PostgreSQL refuses repeats what it says', async () => {
    const server = await add('parameter');
    await server.do({ kind: 'bootstrap' });
    await server.do({ kind: 'stop', mode: 'fast' });
    await server.server.updateParameters({ ...server.options.parameters, max_connections: '-5' });
    expect(await server.run({ kind: 'startPrimary' })).toMatchObject({
      ok: false,
      code: 'failed',
      why: expect.stringContaining('max_connections'),
    });
  });
});

/** Only root may mount, and not in every container. */
const canMount = process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0;

describe.skipIf(!canMount)('A full disk', () => {
  async function onDisk(name: string, megabytes: number): Promise<TestServer> {
    const server = await servers.add(name);
    mkdirSync(dirname(server.options.memberDir), { recursive: true });
    const unmount = await smallDisk(server.options.memberDir, megabytes);
    undo.push(async () => {
      await server.end();
      unmount();
      await servers.remove(server);
    });
    return server;
  }

  test('fails a bootstrap, which leaves nothing', async () => {
    const server = await onDisk('full-bootstrap', 24);
    expect(await server.run({ kind: 'bootstrap' })).toMatchObject({ ok: false, code: 'diskFull' });
    expect(await server.observe()).toEqual({ state: 'absent' });
  });

  test('fails a clone, which gives the room back', async () => {
    const primary = await servers.primary('source');
    undo.push(() => servers.remove(primary));
    const server = await onDisk('full-clone', 24);
    expect(await server.run({ kind: 'clone', upstream: primary.upstreamOf(server) })).toMatchObject({
      ok: false,
      code: 'diskFull',
    });
    expect(await server.observe()).toEqual({ state: 'absent' });
    expect(existsSync(server.layout.newDataDir)).toBe(false);
  });

  test('fails what has to be written, and nothing is taken for written', async () => {
    const server = await onDisk('full-server', 160);
    await server.do({ kind: 'bootstrap' });
    const empty = await fillDisk(server.options.memberDir);
    const setting = { sync: ['n9_00000000'], k: 1 };
    expect(await server.run({ kind: 'setSync', setting, wait: false })).toMatchObject({ ok: false, code: 'diskFull' });
    expect((await server.seen('primary')).setting).toEqual({ sync: ['matriarch_none'], k: 1 });
    expect(await server.run({ kind: 'gate', open: true, cut: false })).toMatchObject({ ok: false, code: 'diskFull' });
    expect((await server.seen('primary')).gateOpen).toBe(false);
    await server.do({ kind: 'stop', mode: 'kill' });
    // Its end made some room.
    await empty();
    const emptyAgain = await fillDisk(server.options.memberDir);
    expect(await server.run({ kind: 'startPrimary' })).toMatchObject({ ok: false, code: 'diskFull' });
    await emptyAgain();
    await server.do({ kind: 'startPrimary' });
    await server.do({ kind: 'setSync', setting, wait: false });
    expect((await server.seen('primary')).setting).toEqual(setting);
  });
});
