// Who gets in through the proxy, by what, and what happens when that changes. What PostgreSQL says is what the proxy says.
import { join } from 'node:path';
import pg from 'pg';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runTool } from '#adapters/postgres/tool.ts';
import { type Login, POSTGRES_BIN, writeFor } from '../support/plain-server.ts';
import { Front, md5Verifier, newPassword, type ProxyInFront, until } from '../support/proxy-front.ts';

let front: Front;
let through: ProxyInFront;
beforeAll(async () => {
  front = await Front.start();
  through = await front.proxy({ timeouts: { waitMs: 5000 } });
});
afterAll(() => front?.end());

let made = 0;
function role(attributes = ''): Promise<Login> {
  return front.server.addLogin(`role_${made++}`, attributes);
}

function direct({ user, password }: Login, more: pg.ClientConfig = {}): Promise<string> {
  const client = new pg.Client({ host: '127.0.0.1', port: front.server.port, database: 'postgres', user, password, ...more });
  client.on('error', () => {});
  return client.connect().then(
    () => client.end().then(() => 'ok'),
    (error: { code?: string; message: string }) => `${error.code} ${error.message}`,
  );
}

test('SCRAM by libpq, pg and postgres', async () => {
  const { user, password } = await role();
  const passwordFile = writeFor(undefined, join(front.folder, 'pgpass'), `*:*:*:${user}:${password}\n`);
  const psql = await runTool({
    program: join(POSTGRES_BIN, 'psql'),
    args: ['-XAtc', 'SELECT current_user', `host=127.0.0.1 port=${through.port} user=${user} dbname=postgres`],
    owner: undefined,
    cwd: front.folder,
    env: { PGPASSFILE: passwordFile },
  });
  expect(psql).toMatchObject({ code: 0, stdout: `${user}\n` });
  const sql = postgres({ host: '127.0.0.1', port: through.port, user, password, database: 'postgres', max: 1 });
  expect(await sql`SELECT current_user AS me`).toEqual([{ me: user }]);
  await sql.end();
  expect(await through.attempt({ user, password })).toBe('ok');
});

test('each refusal is the one of PostgreSQL', async () => {
  const login = await role();
  const nologin = await role();
  const expired = await role("VALID UNTIL '2001-01-01'");
  const noConnect = await role();
  const none = await role('CONNECTION LIMIT 0');
  const databaseless = await role();
  const { server } = front;
  await server.sql(`ALTER ROLE ${nologin.user} NOLOGIN; CREATE ROLE passwordless LOGIN`);
  for (const name of ['private', 'closed', 'narrow']) await server.sql(`CREATE DATABASE ${name}`);
  await server.sql('REVOKE CONNECT ON DATABASE private FROM PUBLIC; ALTER DATABASE closed ALLOW_CONNECTIONS false');
  await server.sql('ALTER DATABASE narrow CONNECTION LIMIT 0');
  const cases: [Login, pg.ClientConfig?][] = [
    [{ ...login, password: 'wrong' }],
    [{ ...login, password: '' }],
    [{ user: 'nobody', password: 'whatever' }],
    [{ user: 'passwordless', password: 'whatever' }],
    [nologin],
    [expired],
    [none],
    [noConnect, { database: 'private' }],
    [login, { database: 'closed' }],
    [login, { database: 'narrow' }],
    [databaseless, { database: 'no such database' }],
    [{ ...login, password: 'wrong' }, { database: 'no such database' }],
    [login, { options: '-c nonsense=1' }],
    [login, { options: '-c work_mem=nonsense' }],
    [login, { options: '-c shared_buffers=1' }],
  ];
  for (const [who, more] of cases) {
    const expected = await direct(who, more);
    expect(expected).not.toBe('ok');
    expect(await through.attempt(who, more), JSON.stringify([who.user, more])).toBe(expected);
  }
  expect(await through.attempt(login)).toBe('ok');
  expect(through.counts).toMatchObject({ clients: 0, waiting: 0 });
});

test('a startup that a server refuses is refused to nobody else who waits', async () => {
  const login = await role('CONNECTION LIMIT 1');
  const holder = await through.client(login);
  await holder.query('BEGIN');
  const waiter = await through.client(login);
  const waiting = waiter.query('SELECT 1 AS one');
  await until(() => expect(through.counts.waiting).toBe(1));
  const bad = through.attempt(login, { options: '-c work_mem=nonsense' });
  await holder.query('COMMIT');
  expect((await waiting).rows).toEqual([{ one: 1 }]);
  expect(await bad).toContain('22023');
  await Promise.all([holder.end(), waiter.end()]);
});

test('a user that does not exist is asked like any other', async () => {
  const { user } = await role();
  const shape = async (name: string) => {
    const { raw, salt } = await saslOf(name);
    return { kinds: raw, salt };
  };
  const [known, unknown, again] = [await shape(user), await shape('not_there'), await shape('not_there')];
  expect(unknown.kinds).toEqual(known.kinds);
  expect(unknown.salt).toBe(again.salt);
  expect(unknown.salt).toHaveLength(known.salt.length);
});

async function saslOf(user: string): Promise<{ readonly raw: string[]; readonly salt: string }> {
  const { channel, socket } = through.channel();
  const { startupMessage, saslInitialResponse, saslResponse } = await import('#wire/encode-frontend.ts');
  channel.send(
    startupMessage([
      ['user', user],
      ['database', 'postgres'],
    ]),
  );
  const offered = await channel.next();
  channel.send(saslInitialResponse('SCRAM-SHA-256', Buffer.from('n,,n=,r=abcdefghijkl')));
  const first = await channel.next();
  const [nonce = '', salt = '', iterations = ''] = first.toString('latin1', 9).split(',');
  const proof = Buffer.alloc(32).toString('base64');
  channel.send(saslResponse(Buffer.from(`c=biws,${nonce},p=${proof}`)));
  const last = await channel.next();
  socket.destroy();
  const refused = last.toString('latin1', 5).replaceAll(user, 'USER');
  return { raw: [offered.toString('latin1'), iterations, refused], salt };
}

test('an md5 verifier is good at a server that asks for md5', async () => {
  const login: Login = { user: 'old_one', password: newPassword() };
  const { server } = front;
  await server.sql(`CREATE ROLE old_one LOGIN PASSWORD '${md5Verifier(login)}'`);
  expect(await through.attempt({ ...login, password: 'wrong' })).toContain('28P01');
  // pg_hba says scram-sha-256: the server takes no md5 verifier, and says so of nobody's password but this one's.
  expect(await direct(login)).toContain('28P01');
  expect(await through.attempt(login)).toMatch(/^28/);
  const hba = join(server.folder, 'data', 'pg_hba.conf');
  writeFor(
    server.owner,
    hba,
    `${['all old_one 127.0.0.1/32 md5', 'all,replication all 127.0.0.1/32 scram-sha-256'].map((line) => `host ${line}\n`).join('')}`,
  );
  await server.sql('SELECT pg_reload_conf()');
  await until(async () => expect(await direct(login)).toBe('ok'));
  expect(await through.attempt(login)).toBe('ok');
  await server.sql("ALTER ROLE old_one VALID UNTIL '2001-01-01'");
  await until(async () => expect(await through.attempt(login)).toContain('28P01'));
});

test('a new password is good at once, the old one is not, and sessions that are open go on', async () => {
  const login = await role();
  const open = await through.client(login);
  await open.query('SELECT 1');
  const next = { ...login, password: newPassword() };
  await front.server.sql(`ALTER ROLE ${login.user} PASSWORD '${next.password}'`);
  await until(async () => expect(await through.attempt(next)).toBe('ok'), 2000);
  expect(await through.attempt(login)).toContain('28P01');
  expect((await open.query('SELECT current_user AS me')).rows).toEqual([{ me: login.user }]);
  await open.end();
});

test('after a change of the password alone the sessions that are open keep their server connections', async () => {
  const login = await role();
  const open = await through.client(login);
  const pid = async () => (await open.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
  const before = await pid();
  await front.server.sql(`ALTER ROLE ${login.user} PASSWORD '${newPassword()}'`);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  expect(await pid()).toBe(before);
  // Once its connection is gone, nobody can open another one: it is told why, at once.
  await front.server.sql(`SELECT pg_terminate_backend(${before})`);
  await expect(open.query('SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  await open.end();
});

test('what ALTER ROLE and ALTER DATABASE set is seen by sessions that were open before', async () => {
  const login = await role();
  const open = await through.client(login);
  const seen = async (client: pg.Client, name: string) => (await client.query(`SHOW ${name}`)).rows[0][name];
  const before = await seen(open, 'work_mem');
  await front.server.sql(`ALTER ROLE ${login.user} SET work_mem = '7MB'`);
  await until(async () => expect(await seen(open, 'work_mem')).toBe('7MB'), 12_000);
  expect(before).not.toBe('7MB');
  const later = await through.client(login);
  expect(await seen(later, 'work_mem')).toBe('7MB');
  await front.server.sql("ALTER DATABASE postgres SET application_name = 'of the database'");
  await until(async () => expect(await seen(open, 'application_name')).toBe('of the database'), 12_000);
  await front.server.sql('ALTER DATABASE postgres RESET application_name');
  await Promise.all([open.end(), later.end()]);
});

test('a role that is dropped, renamed or shut out has no new transactions', async () => {
  const shutOut = async (change: string) => {
    const login = await role();
    const open = await through.client(login);
    await open.query('SELECT 1');
    await front.server.sql(change.replace('%', login.user));
    await until(() => expect(open.query('SELECT 1')).rejects.toMatchObject({ code: expect.stringMatching(/^28/) }), 12_000);
    expect(await through.attempt(login), change).toMatch(/^28/);
    await open.end().catch(() => {});
  };
  await Promise.all(['DROP ROLE %', 'ALTER ROLE % RENAME TO renamed', 'ALTER ROLE % NOLOGIN'].map(shutOut));
  expect(through.counts).toMatchObject({ clients: 0, waiting: 0 });
});

test('limits of clients, in all, of a role and of a database', async () => {
  const [a, b] = [await role(), await role()];
  await front.server.sql('CREATE DATABASE elsewhere');
  const narrow = await front.proxy({ limits: { clients: 3, clientsPerRole: 2 } });
  const attempts = Array.from({ length: 6 }, () =>
    narrow.client(a).then(
      (client) => client,
      (error) => error.code as string,
    ),
  );
  const results = await Promise.all(attempts);
  const clients = results.filter((result) => typeof result !== 'string') as pg.Client[];
  expect(clients).toHaveLength(2);
  expect(results.filter((result) => result === '53300')).toHaveLength(4);
  const third = await narrow.client(b);
  expect(await narrow.attempt(b)).toBe('53300 sorry, too many clients already');
  // A cancel is no client.
  const cancelled = expect(third.query('SELECT pg_sleep(60)')).rejects.toMatchObject({ code: '57014' });
  await until(() => expect(narrow.counts.active).toBe(1));
  const { cancelRequest } = await import('#wire/encode-frontend.ts');
  const { processID, secretKey } = third as unknown as { processID: number; secretKey: number };
  const key = Buffer.alloc(4);
  key.writeInt32BE(secretKey);
  narrow.socket().end(cancelRequest(processID, key));
  await cancelled;
  await Promise.all([...clients, third].map((client) => client.end()));
  await until(() => expect(narrow.counts.clients).toBe(0));
  const perDatabase = await front.proxy({ limits: { clientsPerDatabase: 1 } });
  const one = await perDatabase.client(a);
  expect(await perDatabase.attempt(b)).toContain('53300 too many connections for database "postgres"');
  expect(await perDatabase.attempt(b, { database: 'elsewhere' })).toBe('ok');
  await one.end();
});

test('replication connections count as clients', async () => {
  const login = await role('REPLICATION');
  const narrow = await front.proxy({ limits: { clients: 1 } });
  const first = await narrow.raw(login, { replication: 'true' });
  expect(await narrow.attempt(login)).toContain('53300');
  first.destroy();
  await until(async () => expect(await narrow.attempt(login)).toBe('ok'));
});

test('no secret is in the log or in the counters', async () => {
  const { server } = front;
  const verifiers = await server.sql('SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL');
  const written = [...front.lines, JSON.stringify([...through.proxy.stats().pools.values()])].join('\n');
  for (const { password } of server.logins) expect(written).not.toContain(password);
  for (const { rolpassword } of verifiers) expect(written).not.toContain(rolpassword);
  expect(written).not.toMatch(/SCRAM-SHA-256\$|md5[0-9a-f]{32}|clientKey|storedKey/);
});
