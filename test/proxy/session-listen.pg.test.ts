// LISTEN and NOTIFY without a connection for each listener.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { query } from '#wire/encode-frontend.ts';
import { type Heard, readAnswer } from '../soak/answers.ts';
import type { RawClient } from '../support/raw-client.ts';
import { SessionStage } from '../support/session-stage.ts';
import { type SessionScripts, testScripts } from '../support/test-scripts.ts';

let stage: SessionStage;
beforeAll(async () => {
  stage = await SessionStage.start();
});
afterAll(() => stage?.end());

const SCRIPTS: SessionScripts = {
  'one listens, one notifies': `
    A: LISTEN news
    B: NOTIFY news, 'one'
    B: SELECT pg_notify('news', 'two')
    A: \\heard 2`,
  'in a transaction': {
    servers: 2,
    steps: `
    A: BEGIN; LISTEN news
    B: NOTIFY news, 'too early'
    A: COMMIT
    B: NOTIFY news, 'heard'
    A: \\heard 1
    B: BEGIN; NOTIFY news, 'a'; NOTIFY news, 'b'; NOTIFY news, 'a'
    B: COMMIT
    A: \\heard 3`,
  },
  'rolled back': `
    A: BEGIN; LISTEN news
    A: ROLLBACK
    B: NOTIFY news, 'to nobody'
    A: SELECT pg_listening_channels()
    A: LISTEN news
    B: BEGIN; NOTIFY news, 'never'
    B: ROLLBACK
    B: NOTIFY news, 'always'
    A: \\heard 1`,
  'UNLISTEN in a transaction that rolls back': `
    A: LISTEN news
    B: SELECT 1
    A: BEGIN; UNLISTEN news
    A: ROLLBACK
    B: NOTIFY news, 'still'
    A: \\heard 1
    A: SELECT pg_listening_channels()`,
  'UNLISTEN in a transaction that fails': `
    A: LISTEN news
    B: SELECT 1
    A: BEGIN; UNLISTEN *
    A: SELECT 1/0
    A: COMMIT
    B: NOTIFY news, 'still'
    A: \\heard 1`,
  'UNLISTEN behind a savepoint': `
    A: LISTEN news
    B: SELECT 1
    A: BEGIN; SAVEPOINT s
    A: UNLISTEN news
    A: ROLLBACK TO s
    A: COMMIT
    B: NOTIFY news, 'still'
    A: \\heard 1`,
  'to itself': `
    A: LISTEN news
    B: SELECT 1
    A: NOTIFY news, 'mine'
    A: \\heard 1
    A: BEGIN; NOTIFY news, 'in a transaction'
    A: COMMIT
    A: \\heard 2`,
  'several listeners and channels': `
    A: LISTEN one
    A: LISTEN two
    B: LISTEN two
    C: NOTIFY one, 'a'
    C: NOTIFY two, 'b'
    A: \\heard 2
    B: \\heard 1
    A: UNLISTEN one
    C: NOTIFY one, 'not heard'
    C: NOTIFY two, 'c'
    A: \\heard 3
    B: \\heard 2
    A: SELECT c FROM pg_listening_channels() c ORDER BY 1
    B: SELECT c FROM pg_listening_channels() c ORDER BY 1
    B: UNLISTEN *
    C: NOTIFY two, 'd'
    A: \\heard 4
    B: SELECT count(*) FROM pg_listening_channels()`,
  'LISTEN twice, odd names, no payload': `
    A: LISTEN "Odd, ""name"" ü"
    A: LISTEN "Odd, ""name"" ü"
    B: NOTIFY "Odd, ""name"" ü"
    B: NOTIFY "Odd, ""name"" ü", 'päyload'
    A: \\heard 2`,
  'DISCARD ALL': `
    A: LISTEN news
    B: SELECT 1
    A: DISCARD ALL
    B: NOTIFY news, 'to nobody'
    A: SELECT count(*) FROM pg_listening_channels()`,
  'a listener with another encoding': {
    servers: 2,
    steps: `
    A: SET client_encoding = 'LATIN1'
    A: LISTEN news
    B: NOTIFY news, 'grün'
    A: \\heard 1`,
  },
  'LISTEN by code': {
    setup: `CREATE FUNCTION hear(c text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'LISTEN ' || quote_ident(c); END $$;
      CREATE FUNCTION deaf() RETURNS void LANGUAGE plpgsql AS $$ BEGIN UNLISTEN *; END $$`,
    steps: `
    A: SELECT hear('news')
    B: NOTIFY news, 'x'
    A: \\heard 1
    A: SELECT deaf()
    B: NOTIFY news, 'y'
    A: SELECT count(*) FROM pg_listening_channels()`,
  },
  'a listener that leaves': `
    A: LISTEN news
    B: SELECT 1
    A: \\leave
    B: NOTIFY news, 'to nobody'
    B: SELECT count(*) FROM pg_listening_channels()
    A: SELECT count(*) FROM pg_listening_channels()`,
  'by a trigger': {
    setup: `CREATE TABLE t (a int); CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('t', new.a::text); RETURN new; END $$;
      CREATE TRIGGER tell AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION tell()`,
    steps: `
    A: LISTEN t
    B: INSERT INTO t SELECT generate_series(1, 5)
    A: \\heard 5
    B: BEGIN; INSERT INTO t VALUES (6); SAVEPOINT s; INSERT INTO t VALUES (7); ROLLBACK TO s; COMMIT
    A: \\heard 6`,
  },
};

testScripts(SCRIPTS, () => stage);

/** What a listener has heard of the numbers between its LISTEN and its UNLISTEN, of which it knows some that it must have heard. */
async function listenFor(listener: RawClient, counted: () => number): Promise<string | null> {
  const heard: Heard[] = [];
  const ask = async (text: string) => {
    listener.send(query(text));
    const { errors } = readAnswer(await listener.untilReady(), heard);
    return errors.join();
  };
  const refused = await ask('LISTEN counted');
  if (refused !== '') return refused;
  // Committed before LISTEN was, or at the same time: not surely heard.
  const from = counted() + 2;
  while (counted() < from + 20) await ask('SELECT 1');
  const to = counted();
  while (!heard.some(({ payload }) => Number(payload) >= to)) {
    readAnswer([await listener.next()], heard);
  }
  await ask('UNLISTEN counted');
  const numbers = heard.map(({ payload }) => Number(payload));
  const gap = numbers.findIndex((number, index) => index > 0 && number !== (numbers[index - 1] as number) + 1);
  if (gap >= 0) return `behind ${numbers[gap - 1]} came ${numbers[gap]}`;
  if ((numbers[0] as number) > from) return `${from} was to be heard, ${numbers[0]} was the first`;
  const after = heard.length;
  await ask('SELECT 1');
  await ask('SELECT 1');
  return heard.length === after ? null : 'heard what came behind UNLISTEN';
}

test('listeners that join and leave while one counts hear every number once, in order', async () => {
  const proxy = await stage.proxy(2);
  const place = { port: proxy.port, database: await stage.database() };
  const clients = await Promise.all(Array.from({ length: 9 }, () => stage.connect(place)));
  const [speaker, ...listeners] = clients as [RawClient, ...RawClient[]];
  let count = 0;
  let speaking = true;
  const speak = async () => {
    while (speaking) {
      speaker.send(query(`NOTIFY counted, '${count + 1}'`));
      await speaker.untilReady();
      count++;
    }
  };
  const spoken = speak();
  try {
    const results = await Promise.all(
      listeners.map(async (listener) => {
        const found: (string | null)[] = [];
        for (let turn = 0; turn < 5; turn++) found.push(await listenFor(listener, () => count));
        return found;
      }),
    );
    expect(results.flat().filter((one) => one !== null)).toEqual([]);
  } finally {
    speaking = false;
    await spoken;
    for (const client of clients) client.destroy();
    await proxy.stop();
  }
});
