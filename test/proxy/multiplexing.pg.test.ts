// Quick reads of several clients on one server connection: each gets its own answer whatever the others do, and what may not share does
// not.
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { bind, cancelRequest, describe as describeMessage, execute, parse, query, sync } from '#wire/encode-frontend.ts';
import { BACKEND } from '#wire/message-types.ts';
import type { Login } from '../support/plain-server.ts';
import { Front, until } from '../support/proxy-front.ts';
import type { RawClient } from '../support/raw-client.ts';
import { ReadStage } from '../support/read-stage.ts';

let front: Front;
let login: Login;
let stage: ReadStage;
const SETUP = `CREATE TABLE held (a int); INSERT INTO held VALUES (1); ALTER TABLE held OWNER TO app;
  CREATE TABLE rows AS SELECT i AS id, i * 2 AS twice FROM generate_series(1, 1000) i; ALTER TABLE rows OWNER TO app;
  CREATE UNLOGGED TABLE fleeting (a int); GRANT SELECT ON fleeting TO app; CREATE SEQUENCE numbers;
  GRANT ALL ON SEQUENCE numbers TO app; CREATE FUNCTION own() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
  CREATE VIEW seen AS SELECT own() AS a; GRANT SELECT ON seen TO app`;
const WAITS = 'SELECT a FROM held';
beforeAll(async () => {
  front = await Front.start();
  login = await front.server.addLogin('app');
  await front.server.sql(SETUP);
});
afterEach(async () => {
  await stage.end();
  await front.endProxies();
});
afterAll(() => front?.end());

const codeOf = (error: { code?: string }) => error.code ?? 'none';
const firstOf = ({ rows }: pg.QueryResult) => Object.values(rows[0] ?? {})[0];

test('an error in the middle is its own client’s; a cancel, too, and nobody else’s', async () => {
  stage = await ReadStage.start(front, login);
  const clients = await Promise.all(Array.from({ length: 6 }, () => stage.client()));
  const [first, failing, second, third, cancelled, last] = clients as [pg.Client, ...pg.Client[]] as pg.Client[];
  const all = [WAITS, 'SELECT 1/0', 'SELECT 2 AS two', { text: 'SELECT $1::int AS three', values: [3] }];
  for (const statement of all) await stage.learn(first as pg.Client, statement);
  await stage.learn(cancelled as pg.Client, 'SELECT 5 AS five');
  const unlock = await stage.lock();
  const before = stage.joined;
  const answers = [first?.query(WAITS).then(firstOf)];
  await stage.untilLocked();
  answers.push(failing?.query('SELECT 1/0').then(firstOf, codeOf), second?.query('SELECT 2 AS two').then(firstOf));
  answers.push(third?.query({ text: 'SELECT $1::int AS three', values: [3] }).then(firstOf));
  const given = cancelled?.query('SELECT 5 AS five').then(firstOf, codeOf);
  answers.push(last?.query('SELECT 2 AS two').then(firstOf));
  await stage.untilJoined(5, before);
  // The server is not at it: its client is answered at once.
  await cancel(cancelled as pg.Client);
  expect(await given).toBe('57014');
  await unlock();
  expect(await Promise.all(answers)).toEqual([1, '22012', 2, 3, 2]);
  expect(await cancelled?.query('SELECT 5 AS five').then(firstOf)).toBe(5);
  await Promise.all(clients.map((client) => client.end()));
});

test('a cancel of the one that the server is at moves everybody else away first', async () => {
  stage = await ReadStage.start(front, login);
  const [first, second, third] = (await Promise.all([stage.client(), stage.client(), stage.client()])) as pg.Client[];
  await stage.learn(first as pg.Client, WAITS, 'SELECT 2 AS two');
  const unlock = await stage.lock();
  const before = stage.joined;
  const waiting = first?.query(WAITS).then(firstOf, codeOf);
  await stage.untilLocked();
  const others = [second, third].map((client) => client?.query('SELECT 2 AS two').then(firstOf, codeOf));
  await stage.untilJoined(2, before);
  await cancel(first as pg.Client);
  expect(await waiting).toBe('57014');
  expect(await Promise.all(others)).toEqual([2, 2]);
  await unlock();
  expect(await first?.query(WAITS).then(firstOf)).toBe(1);
  await Promise.all([first, second, third].map((client) => client?.end()));
});

test('thousands of cancels among reads that share never hit another client', async () => {
  stage = await ReadStage.start(front, login, { limits: { serversPerPool: 2 } });
  const [victims, impatient] = await Promise.all([
    Promise.all(Array.from({ length: 8 }, () => stage.client())),
    Promise.all(Array.from({ length: 4 }, () => stage.client())),
  ]);
  await stage.learn(victims[0] as pg.Client, 'SELECT count(*) FROM rows');
  let running = true;
  let answered = 0;
  const hit: string[] = [];
  const suffering = victims.map(async (client) => {
    while (running) {
      await client.query('SELECT count(*) FROM rows').then(
        () => answered++,
        (error) => hit.push(codeOf(error)),
      );
    }
  });
  let cancels = 0;
  const cancelling = impatient.map(async (client) => {
    while (cancels < 2000) {
      cancels += 1;
      const own = client.query('SELECT count(*) FROM rows').catch((error) => {
        if (codeOf(error) !== '57014') hit.push(codeOf(error));
      });
      await cancel(client);
      await own;
    }
  });
  await Promise.all(cancelling);
  running = false;
  await Promise.all(suffering);
  expect(hit).toEqual([]);
  expect(answered).toBeGreaterThan(100);
  expect(stage.joined).toBeGreaterThan(100);
  await Promise.all([...victims, ...impatient].map((client) => client.end()));
}, 120_000);

test('the connection of several is lost: each is asked once more, and nobody notices', async () => {
  stage = await ReadStage.start(front, login);
  const clients = (await Promise.all(Array.from({ length: 4 }, () => stage.client()))) as pg.Client[];
  await stage.learn(clients[0] as pg.Client, WAITS, 'SELECT 2 AS two');
  const unlock = await stage.lock();
  const before = stage.joined;
  const answers = [clients[0]?.query(WAITS).then(firstOf)];
  const pid = await stage.untilLocked();
  for (const client of clients.slice(1)) answers.push(client.query('SELECT 2 AS two').then(firstOf));
  await stage.untilJoined(3, before);
  await front.server.sql(`SELECT pg_terminate_backend(${pid})`);
  await until(() => {
    let retried = 0;
    for (const pool of [stage.proxy.proxy.stats()]) retried += pool.retriedReads;
    expect(retried).toBe(4);
  });
  await unlock();
  expect(await Promise.all(answers)).toEqual([1, 2, 2, 2]);
  await Promise.all(clients.map((client) => client.end()));
});

test('who has waited for long behind somebody else takes the connection that comes free', async () => {
  stage = await ReadStage.start(front, login, { limits: { serversPerPool: 2 }, timeouts: { hedgeMs: 1000 } });
  const [first, busy, behind] = (await Promise.all([stage.client(), stage.client(), stage.client()])) as pg.Client[];
  await busy?.query('BEGIN');
  await stage.learn(first as pg.Client, WAITS, 'SELECT 2 AS two');
  const unlock = await stage.lock();
  const before = stage.joined;
  const waiting = first?.query(WAITS).then(firstOf);
  await stage.untilLocked();
  const hedged = behind?.query('SELECT 2 AS two').then(firstOf);
  await stage.untilJoined(1, before);
  await until(() => expect(stage.proxy.proxy.stats().hedgedReads).toBe(1));
  await busy?.query('COMMIT');
  // The lock is still held.
  expect(await hedged).toBe(2);
  await unlock();
  expect(await waiting).toBe(1);
  await Promise.all([first, busy, behind].map((client) => client?.end()));
});

test('a client that does not read its large answer holds up nobody', async () => {
  stage = await ReadStage.start(front, login, { limits: { serversPerPool: 2 } });
  const [busy, quick, learner] = (await Promise.all([stage.client(), stage.client(), stage.client()])) as pg.Client[];
  const large = (length: number) => `SELECT repeat('x', 1000) FROM generate_series(1, ${length})`;
  await busy?.query('BEGIN');
  await stage.learn(learner as pg.Client, large(1), 'SELECT 2 AS two', WAITS);
  const lazy = await stage.raw();
  const before = stage.joined;
  const unlock = await stage.lock();
  const first = learner?.query(WAITS).then(firstOf);
  await stage.untilLocked();
  lazy.socket.pause();
  lazy.send(query(large(100_000)));
  await stage.untilJoined(1, before);
  const behind = quick?.query('SELECT 2 AS two').then(firstOf);
  await stage.untilJoined(2, before);
  await unlock();
  expect(await first).toBe(1);
  // 100 MB are under way to somebody who does not read, on the only connection but one.
  await until(() => expect(stage.proxy.counts.waiting).toBe(1));
  await busy?.query('COMMIT');
  expect(await behind).toBe(2);
  lazy.socket.resume();
  expect((await lazy.untilReady()).length).toBe(100_003);
  await Promise.all([busy, quick, learner].map((client) => client?.end()));
  lazy.destroy();
});

test('what may not share waits for a connection of its own', async () => {
  stage = await ReadStage.start(front, login);
  const statements = [
    'SELECT 1 FROM rows WHERE id = 1 FOR UPDATE',
    'UPDATE rows SET twice = twice WHERE id = 1',
    "SELECT nextval('numbers')",
    'SELECT pg_advisory_xact_lock(1)',
    'SELECT pg_sleep(0)',
    'SELECT own()',
    'SELECT a FROM seen',
    'SELECT count(*) FROM fleeting',
    'SELECT 1; SELECT 2',
    'SHOW work_mem',
    'VALUES (pg_backend_pid())',
    // Nobody knows it yet.
    'SELECT 1 AS never, 2 AS before',
  ];
  const first = await stage.client();
  const clients = (await Promise.all(statements.map(() => stage.client()))) as pg.Client[];
  const [plain, other, tied] = (await Promise.all([stage.client(), stage.client(), stage.client()])) as pg.Client[];
  await stage.learn(first, WAITS, 'SELECT 2 AS two', ...statements.slice(0, -1));
  await other?.query("SET statement_timeout = '1h'");
  await tied?.query('SELECT 2 AS two');
  const unlock = await stage.lock();
  const before = stage.joined;
  const answers: Promise<unknown>[] = [first.query(WAITS)];
  await stage.untilLocked();
  for (const [at, client] of clients.entries()) answers.push(client.query(statements[at] as string));
  // Another setting.
  answers.push(other?.query('SELECT 2 AS two') ?? Promise.reject());
  await until(() => expect(stage.proxy.counts.waiting).toBe(statements.length + 1));
  answers.push(plain?.query('SELECT 2 AS two') ?? Promise.reject());
  await stage.untilJoined(1, before);
  await unlock();
  await Promise.all(answers);
  await Promise.all([first, plain, other, tied, ...clients].map((client) => client?.end()));
});

test('nobody joins behind a write, an open transaction, or what is pinned', async () => {
  stage = await ReadStage.start(front, login);
  const [holder, reader] = (await Promise.all([stage.client(), stage.client()])) as pg.Client[];
  await stage.learn(holder as pg.Client, WAITS, 'SELECT 2 AS two');
  const before = stage.joined;
  const cases: readonly (readonly [begin: string, end: string])[] = [
    ['BEGIN; SELECT 1', 'COMMIT'],
    ['SELECT pg_advisory_lock(1)', 'SELECT pg_advisory_unlock(1)'],
    ['CREATE TEMP TABLE own_one (a int)', 'DROP TABLE own_one'],
  ];
  for (const [begin, end] of cases) {
    await holder?.query(begin);
    const waiting = reader?.query('SELECT 2 AS two').then(firstOf);
    await until(() => expect(stage.proxy.counts.waiting).toBe(1));
    await holder?.query(end);
    expect(await waiting).toBe(2);
  }
  const unlock = await stage.lock();
  const writing = holder?.query('UPDATE held SET a = 1');
  await stage.untilLocked();
  const waiting = reader?.query('SELECT 2 AS two').then(firstOf);
  await until(() => expect(stage.proxy.counts.waiting).toBe(1));
  await unlock();
  await writing;
  expect(await waiting).toBe(2);
  expect(stage.joined).toBe(before);
  await Promise.all([holder?.end(), reader?.end()]);
});

test('errors name statements as their client does', async () => {
  stage = await ReadStage.start(front, login);
  const first = await stage.client();
  await stage.learn(first, WAITS);
  const raws = await Promise.all([stage.raw(), stage.raw()]);
  const run = (name: string, values: readonly string[]) => [
    bind('', name, values),
    describeMessage('P', ''),
    execute(''),
    sync(),
  ];
  for (const [at, raw] of raws.entries()) {
    raw.send(parse(`mine_${at}`, 'SELECT $1::text AS said'), sync());
    await raw.untilReady();
    for (let i = 0; i < 8; i++) {
      raw.send(...run(`mine_${at}`, ['x']));
      await raw.untilReady();
    }
  }
  const unlock = await stage.lock();
  const before = stage.joined;
  const waiting = first.query(WAITS);
  await stage.untilLocked();
  for (const [at, raw] of raws.entries()) raw.send(...run(`mine_${at}`, ['x', 'y']));
  await stage.untilJoined(2, before);
  await unlock();
  await waiting;
  for (const [at, raw] of raws.entries()) {
    const messages = await raw.untilReady();
    expect(messages.map((message) => message[0])).toEqual([BACKEND.errorResponse, BACKEND.readyForQuery]);
    expect(String(messages[0])).toContain(`prepared statement "mine_${at}"`);
  }
  await first.end();
  for (const raw of raws) raw.destroy();
});

test('a crowd on one connection: everybody gets his own answers, of all three protocols, in pipelines, with errors and notices', async () => {
  stage = await ReadStage.start(front, login);
  const raws = await Promise.all(Array.from({ length: 12 }, () => stage.raw()));
  const seen = await Promise.all(raws.map((raw, at) => converse(raw, at)));
  expect(seen.flat()).toEqual([]);
  expect(stage.joined).toBeGreaterThan(200);
  for (const raw of raws) raw.destroy();
}, 120_000);

/** What was not as it had to be. */
async function converse(raw: RawClient, own: number): Promise<string[]> {
  const wrong: string[] = [];
  raw.send(parse('s', "SELECT 'n' || $1::text"), sync());
  await raw.untilReady();
  for (let turn = 0; turn < 60; turn++) {
    const value = String(own * 1000 + turn);
    const bound = (name: string) => [bind('', name, [value]), describeMessage('P', ''), execute(''), sync()];
    const asked = [
      [query(`SELECT 'q' || ${value}`)],
      [parse('', "SELECT 'u' || $1::text"), ...bound('')],
      bound('s'),
      [query(`SELECT ${value} / 0`)],
    ];
    // One after the other, or all at once.
    const count = turn % 5 === 4 ? asked.length : 1;
    for (let i = 0; i < count; i++) raw.send(...(asked[(turn + i) % asked.length] ?? []));
    for (let i = 0; i < count; i++) {
      const messages = await raw.untilReady();
      const text = messages.map((message) => message.toString('latin1')).join('');
      const wanted = [`q${value}`, `u${value}`, `n${value}`, 'C22012'][(turn + i) % asked.length] as string;
      if (!text.includes(wanted)) wrong.push(`${wanted}: ${text}`);
    }
  }
  return wrong;
}

test('`multiplexing: false`: everybody has a connection of his own', async () => {
  stage = await ReadStage.start(front, login, { limits: { multiplexing: false } });
  const [first, second] = (await Promise.all([stage.client(), stage.client()])) as pg.Client[];
  await stage.learn(first as pg.Client, WAITS, 'SELECT 2 AS two');
  const unlock = await stage.lock();
  const answers = [first?.query(WAITS).then(firstOf)];
  await stage.untilLocked();
  answers.push(second?.query('SELECT 2 AS two').then(firstOf));
  await until(() => expect(stage.proxy.counts.waiting).toBe(1));
  await unlock();
  expect(await Promise.all(answers)).toEqual([1, 2]);
  expect(stage.joined).toBe(0);
  await Promise.all([first?.end(), second?.end()]);
});

/** A request to cancel, over in the moment that the proxy has closed it. */
function cancel(client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const key = Buffer.alloc(4);
  key.writeInt32BE(secretKey);
  const socket = stage.proxy.socket();
  return new Promise((resolve) => {
    socket.on('close', () => resolve());
    socket.resume();
    socket.write(cancelRequest(processID, key));
  });
}
