// Clients that mean harm or die at the wrong moment: each costs a bounded buffer and an error, and others notice nothing.
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Random } from '#simulation/random.ts';
import { readErrorFields } from '#wire/decode-backend.ts';
import { parse, query, saslInitialResponse, startupMessage, sync } from '#wire/encode-frontend.ts';
import { frame } from '#wire/frame.ts';
import { FRONTEND } from '#wire/message-types.ts';
import type { Login } from '../support/plain-server.ts';
import { Front, type ProxyInFront, until } from '../support/proxy-front.ts';

const MB = 2 ** 20;
let front: Front;
let login: Login;
let proxy: ProxyInFront;
beforeAll(async () => {
  front = await Front.start({ parameters: { max_connections: '60' } });
  login = await front.server.addLogin('app', 'SUPERUSER');
  proxy = await front.proxy({ limits: { serversPerPool: 4, clients: 600 }, timeouts: { loginMs: 1500 } });
});
afterEach(async () => {
  // Whatever has happened: another client gets right answers, and everything is as it was.
  const client = await proxy.client(login);
  expect((await client.query('SELECT $1::text AS said', ['right'])).rows).toEqual([{ said: 'right' }]);
  await client.end();
  await until(() => expect(proxy.counts).toEqual({ clients: 0, active: 0, waiting: 0, pinned: 0 }));
  expect(proxy.servers).toBeLessThanOrEqual(4);
});
afterAll(() => front?.end());

async function closed(socket: Socket): Promise<void> {
  socket.resume();
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
}

const startup = () =>
  startupMessage([
    ['user', login.user],
    ['database', 'postgres'],
  ]);

test('rubbish before the startup, during SASL and in the session', async () => {
  const random = new Random(7);
  const rubbish = (bytes: number) => Buffer.from(Array.from({ length: bytes }, () => random.below(256)));
  const sockets: Socket[] = [];
  for (let i = 0; i < 60; i++) {
    const socket = proxy.socket();
    sockets.push(socket);
    if (i % 3 === 1) socket.write(startup());
    if (i % 3 === 2)
      socket.write(Buffer.concat([startup(), saslInitialResponse('SCRAM-SHA-256', Buffer.from('n,,n=,r=abcdefgh'))]));
    socket.write(rubbish(1 + random.below(2000)));
  }
  await Promise.all(sockets.map(closed));
  for (let i = 0; i < 40; i++) {
    const client = await proxy.raw(login);
    client.send(rubbish(1 + random.below(500)), query('SELECT 1'));
    client.socket.end();
    await closed(client.socket);
  }
});

test.each([0, 3, -1, -2_147_483_648, 2_147_483_647])('a length of %i', async (length) => {
  const header = Buffer.alloc(5);
  for (const type of [FRONTEND.query, FRONTEND.bind, FRONTEND.sync, FRONTEND.copyData, FRONTEND.password]) {
    header[0] = type;
    header.writeInt32BE(length, 1);
    const client = await proxy.raw(login);
    client.send(header);
    const error = readErrorFields(await client.next());
    expect(error?.get('C')).toMatch(/^(08P01|54000)$/);
    await closed(client.socket);
  }
  for (const before of [Buffer.alloc(0), startup()]) {
    const socket = proxy.socket();
    header[0] = FRONTEND.password;
    socket.write(Buffer.concat([before, before.length === 0 ? header.subarray(1) : header]));
    await closed(socket);
  }
});

test('who does not finish his login is gone after loginMs, however slowly he speaks', async () => {
  const silent = proxy.socket();
  const half = proxy.socket();
  half.write(startup());
  const trickling = proxy.socket();
  const more = setInterval(() => trickling.write(Buffer.of(0)), 100);
  const slow = proxy.socket();
  slow.write(Buffer.concat([startup(), frame(FRONTEND.password, Buffer.alloc(500)).subarray(0, 50)]));
  await Promise.all([silent, half, trickling, slow].map(closed));
  clearInterval(more);
});

test('what is sent ahead during the login is not kept', async () => {
  const socket = proxy.socket();
  socket.write(startup());
  const message = frame(FRONTEND.password, Buffer.alloc(1000));
  for (let i = 0; i < 200; i++) socket.write(message);
  await closed(socket);
});

test('a body that never comes holds no connection', async () => {
  const clients = await Promise.all(Array.from({ length: 10 }, () => proxy.raw(login)));
  for (const client of clients) client.send(query('x'.repeat(100_000)).subarray(0, 50_000));
  await until(() => expect(proxy.counts.clients).toBe(10));
  expect(proxy.counts.active).toBe(0);
  for (const client of clients) client.destroy();
});

test('large texts: up to 64 MB, and no more', async () => {
  const client = await proxy.raw(login);
  client.send(query(`SELECT length('${'x'.repeat(50 * MB)}')`));
  expect((await client.untilReady()).map((message) => message.toString('latin1')).join()).toContain(String(50 * MB));
  client.send(query('x'.repeat(65 * MB)));
  expect(readErrorFields(await client.next())?.get('C')).toBe('54000');
  client.destroy();
});

test('what clients have not finished is bounded in all', async () => {
  const clients = await Promise.all(Array.from({ length: 6 }, () => proxy.raw(login)));
  const text = parse('', 'x'.repeat(60 * MB));
  const refused: (string | undefined)[] = [];
  for (const client of clients) {
    client.send(text.subarray(0, 55 * MB));
    void client.next().then(
      (message) => refused.push(readErrorFields(message)?.get('C')),
      () => refused.push('closed'),
    );
  }
  await until(() => expect(refused.filter((code) => code === '53200')).toHaveLength(2), 30_000);
  for (const client of clients) client.destroy();
  await until(() => expect(proxy.counts.clients).toBe(0));
});

test('clients that are gone: in COPY both ways, in a large result, in line, in a transaction', async () => {
  await front.server.sql('CREATE TABLE IF NOT EXISTS target (a text)');
  const texts = [
    'COPY target FROM STDIN',
    "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT",
    "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)",
    'BEGIN; SELECT 1',
    'SELECT pg_sleep(60)',
    'BEGIN; COPY target FROM STDIN',
  ];
  for (let round = 0; round < 3; round++) {
    const clients = await Promise.all([...texts, ...texts].map(() => proxy.raw(login)));
    for (const [i, client] of clients.entries()) {
      client.send(query(texts[i % texts.length] as string));
      if (i % 6 === 0) client.send(frame(FRONTEND.copyData, Buffer.alloc(MB)).subarray(0, MB / 2));
    }
    await until(() => expect(proxy.counts.waiting).toBeGreaterThan(0));
    for (const client of clients) {
      if (round === 0) client.socket.end();
      else if (round === 1) client.socket.resetAndDestroy();
      client.destroy();
    }
    await until(() => expect(proxy.counts).toEqual({ clients: 0, active: 0, waiting: 0, pinned: 0 }));
  }
  const left = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'app' AND state <> 'idle'";
  await until(async () => expect(await front.server.sql(left)).toEqual([{ n: 0 }]));
});

test('a slow reader of a large result: the proxy waits, and keeps little', async () => {
  const client = await proxy.raw(login);
  client.socket.pause();
  const before = process.memoryUsage().rss;
  client.send(query("SELECT repeat('x', 10000) FROM generate_series(1, 100000)"));
  await until(() => expect(proxy.counts.active).toBe(1));
  await sleep(1500);
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * MB);
  client.destroy();
});

test('servers that are killed in anything', async () => {
  await front.server.sql('CREATE TABLE IF NOT EXISTS target (a text)');
  const texts = [
    'COPY target FROM STDIN',
    "SELECT repeat('x', 1000), pg_sleep(0.01) FROM generate_series(1, 1000000)",
    'BEGIN; SELECT 1',
    'SELECT pg_sleep(60)',
  ];
  for (let round = 0; round < 3; round++) {
    const clients = await Promise.all(texts.map(() => proxy.raw(login)));
    for (const [i, client] of clients.entries()) client.send(query(texts[i] as string));
    await until(() => expect(proxy.counts.active).toBe(4));
    await sleep(100);
    await front.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
    await sleep(200);
    for (const client of clients) client.destroy();
    await until(() => expect(proxy.counts.clients).toBe(0));
  }
});

test('500 clients at once', async () => {
  const clients = await Promise.all(Array.from({ length: 500 }, () => proxy.raw(login)));
  const answers = clients.map(async (client, i) => {
    client.send(parse('', `SELECT ${i}`), sync(), query(`SELECT ${i} AS i`));
    await client.untilReady();
    return (await client.untilReady())
      .map((message) => message.toString('latin1'))
      .join()
      .includes(String(i));
  });
  expect(await Promise.all(answers)).not.toContain(false);
  expect(proxy.servers).toBeLessThanOrEqual(4);
  for (const client of clients) client.destroy();
});
