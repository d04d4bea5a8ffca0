// A commit that waits for a standby, and whose wait is cut off: it is on the primary alone, and nobody may be told that it is done.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { connect as connectTo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually } from '#adapters/postgres/testing/test-server.ts';
import { cancelRequest } from '#wire/encode-frontend.ts';
import { type Login, PlainServer, writeFor } from '../support/plain-server.ts';
import { ProxyProcess } from '../support/proxy-process.ts';

let folder: string;
let server: PlainServer;
let proxy: ProxyProcess;
let login: Login;
const open: pg.Client[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-wait-'));
  await chmod(folder, 0o755);
  server = await PlainServer.start(join(folder, 'server'), { parameters: { max_connections: '30' } });
  login = await server.addLogin('app');
  await server.sql('create table rows (id int); grant all on rows to app');
  const passwordFile = writeFor(undefined, join(folder, 'password'), server.superuser.password);
  const source = { kind: 'servers', servers: [`${server.host}:${server.port}`], user: server.superuser.user, passwordFile };
  proxy = await ProxyProcess.start(source, { ...login, database: 'postgres' });
  // What nobody confirms: every commit waits until its wait is cut off.
  await server.sql("alter system set synchronous_standby_names = 'nobody'");
  await server.sql('select pg_reload_conf()');
});
beforeEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.end().catch(() => {})));
  // A truncation would wait as well.
  await server.sql('set synchronous_commit = local; delete from rows');
});
afterAll(async () => {
  await Promise.all(open.splice(0).map((client) => client.end().catch(() => {})));
  await proxy?.end();
  await server?.end();
  rmSync(folder, { recursive: true, force: true });
});

async function connect(): Promise<pg.Client> {
  const client = await proxy.connect();
  open.push(client);
  return client;
}

const isWaiting = "select pid from pg_stat_activity where usename = 'app' and wait_event = 'SyncRep'";

/** Resolves when a commit of the application waits. */
async function waits(): Promise<void> {
  await eventually(async () => expect(await server.sql(isWaiting)).toHaveLength(1));
}

/** Resolves when the proxy has done with it. */
async function sendCancel(client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { readonly processID: number; readonly secretKey: number };
  const key = Buffer.alloc(4);
  key.writeInt32BE(secretKey);
  const socket = connectTo(proxy.port);
  socket.end(cancelRequest(processID, key));
  socket.resume();
  await once(socket, 'close');
}

type Cut = 'cancelled' | 'terminated';

async function cutOff(how: Cut): Promise<void> {
  await waits();
  await server.sql(`select pg_${how === 'cancelled' ? 'cancel' : 'terminate'}_backend(pid) from (${isWaiting}) as waiting`);
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => 'done',
    (error: { readonly code?: string }) => error.code,
  );
}

const WAYS: Readonly<Record<string, (client: pg.Client) => Promise<unknown>>> = {
  'autocommit, simple': (client) => client.query('insert into rows values (1)'),
  'autocommit, extended': (client) => client.query('insert into rows values ($1)', [1]),
  'autocommit, prepared': (client) => client.query({ name: 'row', text: 'insert into rows values ($1)', values: [1] }),
  'COMMIT, simple': async (client) => {
    await client.query('begin');
    await client.query('insert into rows values (1)');
    return client.query('commit');
  },
  'COMMIT, extended': async (client) => {
    await client.query('begin');
    await client.query('insert into rows values ($1)', [1]);
    return client.query({ name: 'commit', text: 'commit', values: [] });
  },
  'several statements in one text': (client) => client.query('insert into rows values (1); select 1'),
  'a COMMIT amid a text': (client) => client.query('begin; insert into rows values (1); commit; select 1'),
  'a COMMIT amid a text, and a COPY behind it': (client) =>
    client.query('begin; insert into rows values (1); commit; copy rows from stdin; select 1'),
  DO: (client) => client.query('do $$ begin insert into rows values (1); end $$'),
};

test.each(Object.keys(WAYS).flatMap((way) => (['cancelled', 'terminated'] as const).map((cut) => [way, cut] as const)))(
  '%s, %s from elsewhere: 08007, and the session goes on',
  async (way, cut) => {
    const client = await connect();
    const told = codeOf((WAYS[way] as (client: pg.Client) => Promise<unknown>)(client));
    await cutOff(cut);
    expect(await told).toBe('08007');
    expect((await client.query('select count(*)::int as n from rows')).rows).toEqual([{ n: 1 }]);
  },
);

test('a cancel by the client itself does not reach its COMMIT', async () => {
  const client = await connect();
  await client.query('begin');
  await client.query('insert into rows values (1)');
  const told = codeOf(client.query('commit'));
  await waits();
  const [{ pid } = { pid: 0 }] = await server.sql(isWaiting);
  await sendCancel(client);
  expect(await server.sql(isWaiting)).toEqual([{ pid }]);
  await cutOff('cancelled');
  expect(await told).toBe('08007');
});

test('a cancel by the client of a statement that commits by itself', async () => {
  const sql = postgres({ ...proxy.login, username: login.user, max: 1, onnotice: () => {} });
  const query = sql`insert into rows values (${1})`;
  const told = codeOf(query);
  await waits();
  query.cancel();
  expect(await told).toBe('08007');
  expect(await sql`select count(*)::int as n from rows`).toEqual([{ n: 1 }]);
  await sql.end();
});

test.each(['simple', 'extended'])(
  'client_min_messages = error hides the warning, and nothing is reported as done: %s',
  async (protocol) => {
    const client = await connect();
    await client.query('set client_min_messages = error');
    expect((await client.query('show client_min_messages')).rows).toEqual([{ client_min_messages: 'error' }]);
    const insert = protocol === 'simple' ? ['insert into rows values (1)'] : ['insert into rows values ($1)', [1]];
    const told = codeOf(client.query(...(insert as [string, unknown[]])));
    await cutOff('cancelled');
    // What waits now is a commit of the proxy's own: it would tell that everything before it has arrived.
    await cutOff('cancelled');
    expect(await told).toBe('08007');
    expect((await client.query('select count(*)::int as n from rows')).rows).toEqual([{ n: 1 }]);
  },
);

test('the same for the driver postgres, in a transaction of its own', async () => {
  const sql = postgres({ ...proxy.login, username: login.user, max: 1, onnotice: () => {} });
  const told = codeOf(sql.begin((inside) => inside`insert into rows values (${1})`));
  await cutOff('cancelled');
  expect(await told).toBe('08007');
  expect(await sql`select count(*)::int as n from rows`).toEqual([{ n: 1 }]);
  await sql.end();
});
