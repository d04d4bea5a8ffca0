// Limits, timeouts and cancels: who waits, for how long, what he is told, and whom a cancel hits.
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { cancelRequest } from '#wire/encode-frontend.ts';
import type { Login } from '../support/plain-server.ts';
import { Front, type ProxyInFront, until } from '../support/proxy-front.ts';

let front: Front;
let login: Login;
beforeAll(async () => {
  front = await Front.start();
  login = await front.server.addLogin('app');
});
afterEach(() => front.endProxies());
afterAll(() => front?.end());

async function pidOf(client: pg.Client): Promise<number> {
  return (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
}

/** A request to cancel, over in the moment that the proxy has closed it. */
function cancel(proxy: ProxyInFront, client: pg.Client, wrongBy = 0): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const key = Buffer.alloc(4);
  key.writeInt32BE(secretKey ^ wrongBy);
  const socket = proxy.socket();
  return new Promise((resolve) => {
    socket.on('close', () => resolve());
    socket.resume();
    socket.end(cancelRequest(processID, key));
  });
}

test('first in, first out; a notice after a while; 53300 with the place when it is over', async () => {
  const proxy = await front.proxy({
    limits: { serversPerPool: 1, waitingPerPool: 4 },
    timeouts: { waitMs: 1500, waitNoticeMs: 300 },
  });
  const clients = await Promise.all(Array.from({ length: 6 }, () => proxy.client(login)));
  const [holder, ...waiters] = clients as [pg.Client, ...pg.Client[]];
  await holder.query('BEGIN');
  const notices: string[] = [];
  const order: number[] = [];
  const answers = [];
  for (const [i, waiter] of waiters.slice(0, 4).entries()) {
    waiter.on('notice', ({ message, detail }) => notices.push(`${message}: ${detail}`));
    answers.push(
      waiter.query('SELECT 1').then(
        () => order.push(i),
        (error) => error,
      ),
    );
    await until(() => expect(proxy.counts.waiting).toBe(i + 1));
  }
  await expect((waiters[4] as pg.Client).query('SELECT 1')).rejects.toMatchObject({
    code: '53300',
    message: 'too many clients wait for a server connection',
  });
  await until(() => expect(notices).toHaveLength(4));
  expect(notices[0]).toMatch(/^waiting for a server connection: It is number 1 of \d in line.$/);
  await holder.query('COMMIT');
  await Promise.all(answers);
  expect(order).toEqual([0, 1, 2, 3]);
  await holder.query('BEGIN');
  await expect((waiters[0] as pg.Client).query('SELECT 1')).rejects.toMatchObject({
    code: '53300',
    detail: expect.stringContaining('number 1 of 1'),
  });
  await holder.query('ROLLBACK');
  expect((await (waiters[0] as pg.Client).query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await Promise.all(clients.map((client) => client.end()));
});

test('statements, transactions and clients that take too long; each for himself', async () => {
  const proxy = await front.proxy({ timeouts: { queryMs: 300, idleInTransactionMs: 400, clientIdleMs: 1200 } });
  const [slow, lazy, idle] = await Promise.all([proxy.client(login), proxy.client(login), proxy.client(login)]);
  const ended = (client: pg.Client) =>
    new Promise<string>((resolve) => client.once('error', (error: { code?: string }) => resolve(error.code ?? '')));
  const [lazyEnd, idleEnd] = [ended(lazy), ended(idle)];
  await expect(slow.query('SELECT pg_sleep(60)')).rejects.toMatchObject({ code: '57014' });
  await lazy.query('BEGIN');
  await lazy.query('CREATE TEMP TABLE x ()');
  expect(await lazyEnd).toBe('25P03');
  expect(await idleEnd).toBe('57P05');
  // One that is tied to its connection is idle like any other.
  const pinned = await proxy.client(login);
  const pinnedEnd = ended(pinned);
  await pinned.query('CREATE TEMP TABLE y ()');
  expect(await pinnedEnd).toBe('57P05');
  await until(() => expect(proxy.counts).toEqual({ clients: 0, active: 0, waiting: 0, pinned: 0 }));
  await slow.end().catch(() => {});
});

test('server connections are closed when idle or old, and there are never more than allowed', async () => {
  const proxy = await front.proxy({ limits: { serversPerPool: 3 }, timeouts: { serverIdleMs: 300, serverLifetimeMs: 1000 } });
  const clients = await Promise.all(Array.from({ length: 30 }, () => proxy.client(login)));
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, proxy.servers);
  }, 1);
  await Promise.all(
    clients.map(async (client) => {
      for (let i = 0; i < 20; i++) await client.query('SELECT $1::int', [i]);
    }),
  );
  clearInterval(watch);
  expect(most).toBeLessThanOrEqual(3);
  await until(() => expect(proxy.servers).toBe(0));
  const [client] = clients as [pg.Client];
  const before = await pidOf(client);
  await until(async () => expect(await pidOf(client)).not.toBe(before));
  await Promise.all(clients.map((one) => one.end()));
});

test('limits of a reload are in force at once', async () => {
  const proxy = await front.proxy({ limits: { serversPerPool: 1 } });
  const [a, b] = await Promise.all([proxy.client(login), proxy.client(login)]);
  await a.query('BEGIN');
  const waiting = b.query('SELECT 1 AS one');
  await until(() => expect(proxy.counts.waiting).toBe(1));
  proxy.proxy.reload(front.config({ limits: { serversPerPool: 2 } }));
  expect((await waiting).rows).toEqual([{ one: 1 }]);
  await a.query('COMMIT');
  await Promise.all([a.end(), b.end()]);
});

test('a pool without connections gets one: of an idle pool at once, of a busy one between transactions', async () => {
  const other = await front.server.addLogin('other');
  const proxy = await front.proxy({ limits: { servers: 2, serversPerPool: 2 } });
  const [a, b, c] = await Promise.all([proxy.client(login), proxy.client(login), proxy.client(login)]);
  await Promise.all([a.query('SELECT pg_sleep(0.1)'), b.query('SELECT pg_sleep(0.1)')]);
  const x = await proxy.client(other);
  expect((await x.query('SELECT current_user AS me')).rows).toEqual([{ me: 'other' }]);
  await x.end();
  // Two are wanted all the time by three clients of the first role.
  let running = true;
  const busy = [a, b, c].map(async (client) => {
    while (running) await client.query('SELECT 1');
  });
  const y = await proxy.client(other);
  for (let i = 0; i < 3; i++) expect((await y.query('SELECT current_user AS me')).rows).toEqual([{ me: 'other' }]);
  running = false;
  await Promise.all(busy);
  await Promise.all([a, b, c, y].map((client) => client.end()));
});

test('a cancel hits its own statement, in line too, and nothing with a wrong key', async () => {
  const proxy = await front.proxy({ limits: { serversPerPool: 1 } });
  const [a, b] = await Promise.all([proxy.client(login), proxy.client(login)]);
  const sleeping = a.query('SELECT pg_sleep(60)').catch((error) => error.code);
  const running = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'";
  await until(async () => expect(await front.server.sql(running)).toEqual([{ n: 1 }]));
  const waiting = b.query('SELECT 1').catch((error) => error.code);
  await until(() => expect(proxy.counts.waiting).toBe(1));
  await cancel(proxy, a, 1);
  await cancel(proxy, b);
  expect(await waiting).toBe('57014');
  expect(proxy.counts.active).toBe(1);
  await cancel(proxy, a);
  expect(await sleeping).toBe('57014');
  for (const client of [a, b]) expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await Promise.all([a.end(), b.end()]);
});

test('thousands of cancels never hit another client on the same connection', async () => {
  const proxy = await front.proxy({ limits: { serversPerPool: 1 } });
  const [target, bystander] = await Promise.all([proxy.client(login), proxy.client(login)]);
  let running = true;
  let hits = 0;
  let own = 0;
  let counted = 0;
  const count = (async () => {
    while (running) {
      await bystander.query('SELECT count(*) FROM generate_series(1, 2000)').then(
        () => {
          counted += 1;
        },
        () => {
          hits += 1;
        },
      );
    }
  })();
  const work = (async () => {
    while (running)
      await target.query('SELECT count(*) FROM generate_series(1, 2000)').catch(() => {
        own += 1;
      });
  })();
  for (let round = 0; round < 100 || (counted <= 50 && round < 1000); round++)
    await Promise.all(Array.from({ length: 20 }, () => cancel(proxy, target)));
  running = false;
  await Promise.all([count, work]);
  expect(hits).toBe(0);
  expect(counted).toBeGreaterThan(50);
  expect(own).toBeGreaterThan(0);
  expect(proxy.servers).toBe(1);
  await Promise.all([target.end(), bystander.end()]);
});

test('a login with other startup parameters gets in while the pool is always busy', async () => {
  const proxy = await front.proxy({ limits: { serversPerPool: 1 } });
  const clients = await Promise.all([proxy.client(login), proxy.client(login), proxy.client(login)]);
  let running = true;
  const busy = clients.map(async (client) => {
    while (running) await client.query('SELECT 1');
  });
  const other = await proxy.client(login, { options: '-c work_mem=3MB' });
  expect((await other.query('SHOW work_mem')).rows).toEqual([{ work_mem: '3MB' }]);
  running = false;
  await Promise.all(busy);
  await Promise.all([...clients, other].map((client) => client.end()));
});

test('prepared statements on a server connection are bounded, and counted as bytes are', async () => {
  const proxy = await front.proxy({ limits: { serversPerPool: 1, preparedPerServer: 3 } });
  const client = await proxy.client(login);
  for (let n = 0; n < 5; n++) {
    const before = proxy.proxy.stats().bytes.toClients;
    await client.query({ name: `s${n}`, text: `SELECT ${n} AS n` });
    // Of a connection that is open, too.
    expect(proxy.proxy.stats().bytes.toClients).toBeGreaterThan(before);
  }
  const held = () => [...proxy.proxy.stats().pools.values()].map(({ statements }) => statements);
  expect(held()).toEqual([{ held: 3, known: 5 }]);
  expect((await client.query({ name: 's0', text: 'SELECT 0 AS n' })).rows).toEqual([{ n: 0 }]);
  await client.end();
});
