// A server connection that is lost, or a client that goes on, at the one moment that matters: the wire to the server is held for it.
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { readErrorFields } from '#wire/decode-backend.ts';
import { parse, query, sync } from '#wire/encode-frontend.ts';
import { frame } from '#wire/frame.ts';
import { FRONTEND } from '#wire/message-types.ts';
import { type Answer, readAnswer } from '../soak/answers.ts';
import { HeldWire } from '../support/held-wire.ts';
import type { Login } from '../support/plain-server.ts';
import { Front, type FrontOptions, type ProxyInFront, until } from '../support/proxy-front.ts';
import type { RawClient } from '../support/raw-client.ts';

let front: Front;
let login: Login;
let wire: HeldWire;
let proxy: ProxyInFront;
const clients: RawClient[] = [];
beforeAll(async () => {
  front = await Front.start({ parameters: { autovacuum: 'off' } });
  login = await front.server.addLogin('app');
  await front.server.sql('CREATE TABLE rows (n int); GRANT ALL ON rows TO app');
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await front.endProxies();
  wire?.end();
});
afterAll(() => front?.end());

async function start(limits: FrontOptions['limits'] = { serversPerPool: 1 }): Promise<void> {
  wire = await HeldWire.to(front.server, login.user);
  proxy = await front.proxy({ limits, serverPort: wire.port });
}

async function connect(parameters: Readonly<Record<string, string>> = {}): Promise<RawClient> {
  const client = await proxy.raw(login, parameters);
  clients.push(client);
  return client;
}

async function answer(client: RawClient): Promise<Answer> {
  return readAnswer(await client.untilReady(), []);
}

function ask(client: RawClient, text: string): Promise<Answer> {
  client.send(query(text));
  return answer(client);
}

test('a write that was answered by its loss is not sent again with the read behind it', async () => {
  await start();
  const client = await connect();
  wire.holdsBehind = 'INSERT INTO rows';
  client.send(query('INSERT INTO rows VALUES (1)'));
  (await wire.lineWith('INSERT INTO rows')).cut();
  expect(await answer(client)).toMatchObject({ errors: ['08007'], status: 'I' });
  wire.holdsBehind = "SELECT 'read'";
  client.send(query("SELECT 'read'"));
  const second = await wire.lineWith("SELECT 'read'");
  wire.holdsBehind = null;
  second.cut();
  expect(await answer(client)).toMatchObject({ rows: [['read']], errors: [], status: 'I' });
  expect(await ask(client, 'SELECT count(*) FROM rows')).toMatchObject({ rows: [['1']] });
});

test('a transaction that was lost stays so when the next connection is lost as well', async () => {
  await start();
  const client = await connect();
  expect(await ask(client, 'BEGIN')).toMatchObject({ status: 'T' });
  wire.holdsBehind = "SELECT 'in it'";
  client.send(query("SELECT 'in it'"));
  (await wire.lineWith("SELECT 'in it'")).cut();
  expect(await answer(client)).toMatchObject({ errors: ['40001'], status: 'E' });
  wire.holdsBehind = 'ROLLBACK TO SAVEPOINT';
  client.send(query("SELECT 'behind it'"));
  const second = await wire.lineWith("SELECT 'behind it'");
  wire.holdsBehind = null;
  second.cut();
  expect(await answer(client)).toMatchObject({ errors: ['40001'], status: 'E' });
  expect(await ask(client, "SELECT 'later'")).toMatchObject({ errors: ['25P02'], status: 'E' });
  expect(await ask(client, 'ROLLBACK')).toMatchObject({ errors: [], tags: ['ROLLBACK'], status: 'I' });
  expect(await ask(client, "SELECT 'after'")).toMatchObject({ rows: [['after']], status: 'I' });
});
test('a SET that comes before it is known that RESET took the name of the startup away', async () => {
  await start();
  const client = await connect({ application_name: 'of the startup' });
  await ask(client, 'SELECT 1');
  wire.holdsBehind = 'RESET application_name';
  client.send(query('RESET application_name'));
  const line = await wire.lineWith('RESET application_name');
  await line.letAnswer();
  await answer(client);
  client.send(query("SET application_name = 'of its own'"));
  await line.untilSent("SET application_name = 'of its own'");
  wire.holdsBehind = null;
  line.release();
  await answer(client);
  expect(await ask(client, 'SHOW application_name')).toMatchObject({ rows: [['of its own']] });
  await ask(client, 'RESET application_name');
  expect(await ask(client, 'SHOW application_name')).toMatchObject({ rows: [['of the startup']] });
});

test('a request to cancel is over when the server has got it', async () => {
  await start();
  const client = await connect();
  client.send(query('SELECT pg_sleep(60)'));
  const line = await wire.lineWith('pg_sleep');
  const order: string[] = [];
  const cancelled = client.cancel().then(() => order.push('over'));
  await until(() => expect(wire.cancels).toHaveLength(1));
  // A second one is over with the first.
  const again = client.cancel().then(() => order.push('over'));
  client.send(query("SELECT 'behind it'"));
  await line.untilSent('behind it');
  order.push('sent');
  wire.cancels[0]?.();
  await Promise.all([cancelled, again]);
  expect(order).toEqual(['sent', 'over', 'over']);
  expect(await answer(client)).toMatchObject({ errors: ['57014'] });
  expect(await answer(client)).toMatchObject({ rows: [['behind it']] });
});

test('what moves a LISTEN does not get into a COPY that had to wait', async () => {
  await start({ serversPerPool: 2 });
  const [client, other] = [await connect(), await connect()];
  await ask(client, 'SELECT 1');
  wire.holdsBehind = 'LISTEN "_matriarch_';
  await ask(client, 'LISTEN news');
  const listener = await wire.lineWith('LISTEN "_matriarch_');
  // The name that is being taken may be meant by what follows.
  wire.holdsBehind = 'SELECT 42';
  client.send(parse('a', 'SELECT 42'), sync(), query('COPY rows FROM STDIN'));
  const own = await wire.lineWith('SELECT 42');
  wire.holdsBehind = null;
  listener.release();
  for (let i = 0; i < 3; i++) await ask(other, 'SELECT 1');
  own.release();
  expect(await answer(client)).toMatchObject({ errors: [], status: 'I' });
  await own.untilSent('COPY rows');
  client.send(frame(FRONTEND.copyData, Buffer.from('7\n')), frame(FRONTEND.copyDone));
  expect(await answer(client)).toMatchObject({ errors: [], tags: ['COPY 1'] });
  expect(await ask(client, "SELECT 'after'")).toMatchObject({ rows: [['after']] });
  await own.untilSent('UNLISTEN');
});

test('a session whose LISTEN went with its connection is ended, and does not wait for ever to be notified', async () => {
  await start({ serversPerPool: 2 });
  const client = await connect();
  await ask(client, 'SELECT 1');
  wire.holdsBehind = 'LISTEN "_matriarch_';
  await ask(client, 'LISTEN news');
  await wire.lineWith('LISTEN "_matriarch_');
  (await wire.lineWith('LISTEN news')).cut();
  expect(readErrorFields(await client.next())?.get('C')).toBe('57P01');
  await expect(client.next()).rejects.toThrow('closed');
});

test('what a client sends while it is told that its session has ended is not done', async () => {
  await start();
  const client = await connect();
  await ask(client, 'SELECT pg_advisory_lock(2)');
  expect(await ask(client, 'BEGIN')).toMatchObject({ status: 'T' });
  await ask(client, 'INSERT INTO rows VALUES (70)');
  // Still inside of its transaction, for all that it knows.
  client.socket.once('data', () => client.send(query('INSERT INTO rows VALUES (71)')));
  const ended = once(client.socket, 'close');
  await front.server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${login.user}'`);
  await ended;
  // The only connection: what was done before is seen.
  expect(await ask(await connect(), 'SELECT n FROM rows WHERE n >= 70')).toMatchObject({ rows: [], errors: [] });
});

test.each(["PREPARE a AS SELECT 'prepared'", 'SELECT pg_advisory_lock(1)'])(
  'a transaction that goes with what a rollback would leave (%s) ends its session',
  async (text) => {
    await start();
    const client = await connect();
    await ask(client, 'BEGIN');
    await ask(client, text);
    (await wire.lineWith(text)).cut();
    expect(readErrorFields(await client.next())?.get('C')).toBe('57P01');
    await expect(client.next()).rejects.toThrow('closed');
  },
);

test('a transaction that goes with an EXECUTE is an error, and the statement is there for the next', async () => {
  await start();
  const client = await connect();
  await ask(client, "PREPARE a AS SELECT 'prepared'");
  await ask(client, 'BEGIN');
  await ask(client, 'EXECUTE a');
  (await wire.lineWith('EXECUTE a')).cut();
  expect(await ask(client, 'EXECUTE a')).toMatchObject({ errors: ['40001'], status: 'E' });
  expect(await ask(client, 'ROLLBACK')).toMatchObject({ errors: [], status: 'I' });
  expect(await ask(client, 'EXECUTE a')).toMatchObject({ rows: [['prepared']], status: 'I' });
});

test('a Parse of a name that PREPARE has taken is refused by the next server, too', async () => {
  await start();
  const client = await connect();
  await ask(client, "PREPARE a AS SELECT 'prepared'");
  await ask(client, 'SELECT 1');
  wire.holdsBehind = 'SELECT 42';
  client.send(parse('a', 'SELECT 42'), sync());
  const line = await wire.lineWith('SELECT 42');
  wire.holdsBehind = null;
  line.cut();
  expect(await answer(client)).toMatchObject({ errors: ['42P05'], status: 'I' });
});

test.each([
  ['at once', false],
  ['while it runs', true],
])('what a client sends before it takes its leave is done: %s', async (_, waits) => {
  await start();
  const client = await connect();
  await ask(client, 'DELETE FROM rows');
  const insert = query('INSERT INTO rows SELECT 7 FROM pg_sleep(0.2)');
  const farewell = frame(FRONTEND.terminate);
  if (waits) {
    client.send(insert);
    await until(async () => expect(await running('INSERT INTO rows')).toBe(1));
    client.send(farewell);
  } else client.send(insert, farewell);
  client.socket.end();
  await until(async () => expect(await front.server.sql('SELECT n FROM rows')).toEqual([{ n: 7 }]));
  expect(wire.cancels).toEqual([]);
});

test('what runs for a client that is lost is cancelled', async () => {
  await start();
  const client = await connect();
  client.send(query('SELECT pg_sleep(600)'));
  await until(async () => expect(await running('SELECT pg_sleep')).toBe(1));
  client.destroy();
  await until(() => expect(wire.cancels).toHaveLength(1));
  wire.cancels[0]?.();
  await until(async () => expect(await running('SELECT pg_sleep')).toBe(0));
});

async function running(text: string): Promise<number> {
  const active = `SELECT count(*)::int FROM pg_stat_activity WHERE usename = '${login.user}' AND state = 'active'`;
  const [row] = await front.server.sql(`${active} AND query LIKE '${text}%'`);
  return row?.count as number;
}
