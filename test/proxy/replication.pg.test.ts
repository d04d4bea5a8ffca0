// Replication through the proxy: a connection of its own, byte by byte.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runTool } from '#adapters/postgres/tool.ts';
import { type Login, POSTGRES_BIN, writeFor } from '../support/plain-server.ts';
import { Front, type ProxyInFront, until } from '../support/proxy-front.ts';
import { RunningProgram } from '../support/running-program.ts';

let front: Front;
let proxy: ProxyInFront;
let login: Login;
let env: Record<string, string>;
beforeAll(async () => {
  front = await Front.start({ parameters: { wal_level: 'logical' } });
  login = await front.server.addLogin('copier', 'REPLICATION SUPERUSER');
  proxy = await front.proxy();
  const passwordFile = writeFor(undefined, join(front.folder, 'pgpass'), `*:*:*:${login.user}:${login.password}\n`);
  env = { PGPASSFILE: passwordFile, PGHOST: '127.0.0.1', PGPORT: String(proxy.port), PGUSER: login.user };
});
afterAll(() => front?.end());

const tool = (program: string, args: readonly string[]) =>
  runTool({ program: join(POSTGRES_BIN, program), args, owner: undefined, cwd: front.folder, env, timeoutMs: 50_000 });

test('pg_basebackup with its two connections', async () => {
  const target = join(front.folder, 'copy');
  const ran = await tool('pg_basebackup', ['-D', target, '-X', 'stream', '-c', 'fast']);
  expect(ran.stderr).toBe('');
  expect(existsSync(join(target, 'PG_VERSION'))).toBe(true);
  expect(await tool('pg_verifybackup', [target])).toMatchObject({ code: 0 });
});

test('pg_receivewal', async () => {
  const target = join(front.folder, 'copy', 'received');
  const { mkdirSync } = await import('node:fs');
  mkdirSync(target, { recursive: true });
  const receiving = new RunningProgram(join(POSTGRES_BIN, 'pg_receivewal'), ['-D', target, '--no-loop'], {
    cwd: front.folder,
    env,
    endSignal: 'SIGINT',
  });
  try {
    await until(async () => {
      await front.server.sql("SELECT pg_logical_emit_message(false, 'a', 'b'), pg_switch_wal()");
      const { readdirSync } = await import('node:fs');
      expect(readdirSync(target).filter((name) => /^[0-9A-F]{24}$/.test(name)).length).toBeGreaterThan(0);
    });
  } finally {
    await receiving.end();
  }
});

test('pg_recvlogical', async () => {
  const flags = ['-d', 'postgres', '-S', 'decoding'];
  expect(await tool('pg_recvlogical', [...flags, '--create-slot', '-P', 'test_decoding'])).toMatchObject({ code: 0 });
  await front.server.sql('CREATE TABLE changes (a int)');
  await front.server.sql('INSERT INTO changes VALUES (42)');
  const [end] = await front.server.sql('SELECT pg_current_wal_lsn()::text AS lsn');
  const received = await tool('pg_recvlogical', [...flags, '--start', '-f', '-', '--endpos', String(end?.lsn), '--no-loop']);
  expect(received.stdout).toContain('INSERT: a[integer]:42');
  expect(await tool('pg_recvlogical', [...flags, '--drop-slot'])).toMatchObject({ code: 0 });
});

test('a replication connection whose server is not there is refused with a reason', async () => {
  const lost = await front.proxy({ serverTls: () => ({ ca: 'nothing' }) });
  const refused = await lost.raw(login, { replication: 'true' }).then(
    () => 'in',
    (error) => error.message,
  );
  expect(refused).toContain('08006');
});
