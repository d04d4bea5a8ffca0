// The protocol's edges: each script is spoken to PostgreSQL and through the proxy, and every answer is compared.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readErrorFields } from '#wire/decode-backend.ts';
import { bind, close, describe as describeMessage, execute, flush, parse, query, sync } from '#wire/encode-frontend.ts';
import { cString, frame, int16, int32 } from '#wire/frame.ts';
import { BACKEND, FRONTEND } from '#wire/message-types.ts';
import type { Login } from '../support/plain-server.ts';
import { Front, type ProxyInFront } from '../support/proxy-front.ts';
import { RawClient } from '../support/raw-client.ts';

let front: Front;
let proxy: ProxyInFront;
let login: Login;
beforeAll(async () => {
  front = await Front.start({ parameters: { wal_level: 'logical' } });
  login = await front.server.addLogin('app', 'SUPERUSER');
  // One server connection for all: whatever a client leaves half done would meet the next one.
  proxy = await front.proxy({ limits: { serversPerPool: 1, preparedPerServer: 5 } });
});
afterAll(() => front?.end());

function connect(port: number, parameters: Readonly<Record<string, string>> = {}): Promise<RawClient> {
  const { user, password } = login;
  return RawClient.connect({
    host: '127.0.0.1',
    port,
    user,
    database: 'postgres',
    secret: { kind: 'password', password },
    parameters,
  });
}

/** Errors without the place in PostgreSQL's source; everything else byte for byte. */
function shown(message: Buffer): string {
  const type = String.fromCharCode(message[0] ?? 0);
  if (message[0] !== BACKEND.errorResponse && message[0] !== BACKEND.noticeResponse)
    return message.length > 300 ? `${type} ${message.length} bytes` : `${type} ${message.subarray(5).toString('latin1')}`;
  const fields = [...(readErrorFields(message) ?? [])].filter(([letter]) => !'FLRW'.includes(letter));
  return `${type} ${fields.map(([letter, text]) => `${letter}=${text}`).join(' ')}`;
}

class Speaker {
  readonly client: RawClient;
  readonly heard: string[] = [];

  constructor(client: RawClient) {
    this.client = client;
  }

  /** Sends, and hears so many ReadyForQuery. */
  async say(messages: readonly Buffer[], ready = 1): Promise<void> {
    this.client.send(...messages);
    for (let i = 0; i < ready; i++) this.heard.push(...(await this.client.untilReady()).map(shown));
  }

  async hear(type: number): Promise<void> {
    for (;;) {
      const message = await this.client.next();
      this.heard.push(shown(message));
      if (message[0] === type) return;
    }
  }
}

type Script = (speaker: Speaker) => Promise<void>;

const copyData = (text: string | Buffer) => frame(FRONTEND.copyData, Buffer.from(text));
const copyDone = () => frame(FRONTEND.copyDone);
const copyFail = (why: string) => frame(FRONTEND.copyFail, cString(why));
const call = (oid: number, ...values: Buffer[]) =>
  frame(
    FRONTEND.functionCall,
    int32(oid),
    int16(1),
    int16(1),
    int16(values.length),
    ...values.flatMap((value) => [int32(value.length), value]),
    int16(1),
  );
const statement = (name: string, text: string) => [parse(name, text), bind('', name), describeMessage('P', ''), execute('')];

const SCRIPTS: Readonly<Record<string, Script>> = {
  'empty queries, of both kinds': async (say) => {
    await say.say([query('')]);
    await say.say([query(' ; ; ')]);
    await say.say([...statement('', ''), sync()]);
    await say.say([sync(), sync(), query('SELECT 1'), sync()], 4);
  },
  'a pipeline of everything, with an error in it and Parse behind the error': async (say) => {
    await say.say(
      [
        ...statement('a', 'SELECT 1 AS one'),
        sync(),
        ...statement('b', 'SELECT 1/0'),
        ...statement('c', 'SELECT 3'),
        close('S', 'a'),
        sync(),
        bind('', 'c'),
        execute(''),
        sync(),
        bind('', 'a'),
        execute(''),
        sync(),
        query('SELECT 4'),
        bind('', 'b'),
        sync(),
        ...statement('c', 'SELECT 5'),
        sync(),
        bind('', 'c'),
        execute(''),
        sync(),
      ],
      8,
    );
  },
  'a text that is prepared already, prepared again behind an error': async (say) => {
    await say.say([parse('a', 'SELECT 1 AS again'), sync()]);
    await say.say([...statement('', 'SELECT 1/0'), parse('b', 'SELECT 1 AS again'), sync()]);
    await say.say([bind('', 'a'), execute(''), sync()]);
    await say.say([...statement('b', 'SELECT 1 AS again'), sync()]);
  },
  'Flush without Sync': async (say) => {
    say.client.send(...statement('', 'SELECT 1'), flush());
    await say.hear(BACKEND.commandComplete);
    say.client.send(...statement('', 'SELECT 2'), flush());
    await say.hear(BACKEND.commandComplete);
    say.client.send(parse('x', 'SELECT nothing'), flush());
    await say.hear(BACKEND.errorResponse);
    await say.say([...statement('', 'SELECT 3'), flush(), query('SELECT 5'), sync(), query('SELECT 4')], 2);
  },
  'portals with a limit of rows, inside and outside a transaction': async (say) => {
    const rows = 'SELECT generate_series(1, 5)';
    await say.say([parse('', rows), bind('p', ''), execute('p', 2), execute('p', 2), execute('p', 2), sync()]);
    await say.say([execute('p', 1), sync()]);
    await say.say([query('BEGIN')]);
    await say.say([parse('s', rows), bind('p', 's'), execute('p', 2), sync()]);
    await say.say([execute('p', 2), sync()]);
    await say.say([close('P', 'p'), execute('p', 2), sync()]);
    await say.say([query('ROLLBACK'), close('S', 's'), sync()], 2);
  },
  'names: taken, closed, unknown, prepared again': async (say) => {
    await say.say([parse('n', 'SELECT 1'), sync(), parse('n', 'SELECT 2'), sync()], 2);
    await say.say(
      [bind('', 'n'), execute(''), sync(), close('S', 'n'), parse('n', 'SELECT 3'), bind('', 'n'), execute(''), sync()],
      2,
    );
    await say.say([close('S', 'n'), close('S', 'n'), close('S', 'never'), sync()]);
    await say.say([bind('', 'n'), sync(), describeMessage('S', 'n'), sync(), describeMessage('P', 'none'), sync()], 3);
    await say.say([query('DEALLOCATE n'), query('EXECUTE n'), bind('', ''), sync(), describeMessage('S', ''), sync()], 4);
  },
  'the unnamed statement across Syncs and queries': async (say) => {
    await say.say([parse('', 'SELECT 1'), sync(), bind('', ''), execute(''), sync(), bind('', ''), execute(''), sync()], 3);
    await say.say(
      [close('S', ''), sync(), bind('', ''), sync(), parse('', 'SELECT 2'), sync(), query('SELECT 3'), bind('', ''), sync()],
      5,
    );
    await say.say([parse('', 'SELECT nonsense'), sync(), bind('', ''), sync()], 2);
  },
  'SQL and the protocol share the names of statements': async (say) => {
    await say.say(
      [parse('p', 'SELECT $1::int + 1'), sync(), query('EXECUTE p(41)'), query('PREPARE p AS SELECT 1'), query('DEALLOCATE p')],
      4,
    );
    await say.say(
      [bind('', 'p'), sync(), query('PREPARE q(int) AS SELECT $1 * 2'), bind('', 'q', ['21']), execute(''), sync()],
      3,
    );
    await say.say([describeMessage('S', 'q'), parse('q', 'SELECT 9'), sync(), close('S', 'q'), sync(), query('EXECUTE q(1)')], 3);
    await say.say(
      [parse('one', 'SELECT 1'), parse('two', 'SELECT 2'), sync(), query('DEALLOCATE ALL'), bind('', 'two'), sync()],
      3,
    );
    await say.say([parse('one', 'SELECT 1'), sync(), query('DISCARD ALL'), bind('', 'one'), sync()], 3);
    await say.say([query("SELECT name FROM pg_prepared_statements WHERE name !~ '^_matriarch'")]);
  },
  'names that begin with the prefix of the proxy': async (say) => {
    await say.say([parse('_matriarch_1', 'SELECT 11'), parse('_matriarch_2', 'SELECT 12'), sync()]);
    await say.say([bind('', '_matriarch_1'), execute(''), sync(), bind('', '_matriarch_2'), execute(''), sync()], 2);
    await say.say([close('S', '_matriarch_1'), sync(), query('EXECUTE _matriarch_2'), query('DEALLOCATE _matriarch_2')], 3);
    await say.say([parse('mine', 'SELECT 1'), sync()]);
    for (let id = 1; id < 60; id += 1) await say.say([close('S', `_matriarch_${id}`), sync()]);
    for (let id = 1; id < 60; id += 1) say.client.send(query(`DEALLOCATE _matriarch_${id}`));
    for (let id = 1; id < 60; id += 1) expect((await say.client.untilReady()).map(shown)[0]).toContain('C=26000');
    await say.say([bind('', 'mine'), execute(''), sync()]);
  },
  'more statements than a server connection keeps': async (say) => {
    const names = Array.from({ length: 12 }, (_, i) => `many_${i}`);
    await say.say([...names.flatMap((name, i) => [parse(name, `SELECT ${i} AS many`)]), sync()]);
    for (const name of [...names, ...names.toReversed()]) await say.say([bind('', name), execute(''), sync()]);
    await say.say([...names.flatMap((name) => [bind('', name), execute('')]), sync()]);
    await say.say([...names.map((name) => close('S', name)), sync()]);
  },
  'a statement whose columns change': async (say) => {
    await say.say([query('CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)')]);
    await say.say([parse('star', 'SELECT * FROM changing'), bind('', 'star'), execute(''), sync()]);
    await say.say([query('ALTER TABLE changing ADD b text'), bind('', 'star'), execute(''), sync()], 2);
    await say.say([close('S', 'star'), parse('star', 'SELECT * FROM changing'), bind('', 'star'), execute(''), sync()]);
    await say.say([query('ALTER TABLE changing ALTER a TYPE text'), bind('', 'star'), execute(''), sync()], 2);
    await say.say([close('S', 'star'), parse('star', 'SELECT * FROM changing'), bind('', 'star'), execute(''), sync()]);
    await say.say([query('DROP TABLE changing'), close('S', 'star'), sync()], 2);
  },
  'functions by their numbers: large objects': async (say) => {
    const [lo_creat, lo_open, lowrite, loread, lo_lseek, lo_unlink] = [957, 952, 955, 954, 956, 964];
    await say.say([query('SELECT lo_create(424242)'), query('BEGIN')], 2);
    await say.say([call(lo_open, int32(424242), int32(0x60000))]);
    await say.say([call(lowrite, int32(0), Buffer.from('some bytes'))]);
    await say.say([call(lo_lseek, int32(0), int32(5), int32(0)), call(loread, int32(0), int32(100))], 2);
    await say.say([query('COMMIT'), call(lo_unlink, int32(424242)), call(lo_unlink, int32(424242)), call(1), call(0)], 5);
    expect(lo_creat).toBe(957);
  },
  'COPY in: whole, failing in the middle, given up, in a pipeline': async (say) => {
    await say.say([query('CREATE TABLE copied (a int)')]);
    await say.say([query('COPY copied FROM STDIN'), copyData('1\n2\n'), copyData('3\n'), copyDone()]);
    await say.say(
      [
        query('COPY copied FROM STDIN'),
        copyData('1\nwrong\n'),
        ...Array.from({ length: 50 }, () => copyData('4\n')),
        copyDone(),
        query('SELECT count(*) FROM copied'),
      ],
      2,
    );
    await say.say([query('COPY copied FROM STDIN'), copyData('1\n'), copyFail('enough')]);
    await say.say([copyData('5\n'), copyDone(), copyFail('no copy'), query('SELECT 1')]);
    await say.say([...statement('', 'COPY copied FROM STDIN'), copyData('6\n'), copyDone(), sync()]);
    await say.say(
      [
        ...statement('', 'COPY copied FROM STDIN'),
        copyData('wrong\n'),
        copyData('7\n'),
        copyDone(),
        sync(),
        query('SELECT a + 0 FROM copied'),
      ],
      2,
    );
    await say.say([query('COPY copied FROM STDIN; SELECT 8'), copyData('8\n'), flush(), sync(), copyDone()]);
    await say.say([query('BEGIN'), query('COPY copied FROM STDIN'), copyData('wrong\n'), copyDone(), query('ROLLBACK')], 3);
    await say.say([query('SELECT a + 0 FROM copied'), query('DROP TABLE copied')], 2);
  },
  'COPY out, with huge rows both ways': async (say) => {
    await say.say([query("COPY (SELECT repeat('z', n) FROM generate_series(1, 300000, 60000) n) TO STDOUT")]);
    await say.say([...statement('', "COPY (SELECT repeat('z', 5000000)) TO STDOUT"), sync()]);
    await say.say([query('CREATE TEMP TABLE huge (t text)')]);
    await say.say(
      [
        query('COPY huge FROM STDIN'),
        copyData(`${'w'.repeat(20_000_000)}\n`),
        copyDone(),
        query('SELECT length(t), md5(t) FROM huge'),
      ],
      2,
    );
    await say.say([query('COPY huge TO STDOUT'), query('DROP TABLE huge')], 2);
  },
  'notices and parameters': async (say) => {
    await say.say([query("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING HINT = 'h', DETAIL = 'd'; END $$")]);
    await say.say([query("SET application_name = 'x'; SET DateStyle = 'German'; SELECT '2026-01-02'::date")]);
    await say.say(
      [query('BEGIN'), query("SET TimeZone = 'Asia/Tokyo'"), query('ROLLBACK'), query('SHOW TimeZone'), query('COMMIT')],
      5,
    );
    await say.say([query('RESET ALL'), query("SELECT '2026-01-02'::date")], 2);
  },
  'messages that are malformed, and what comes behind them': async (say) => {
    await say.say([frame(FRONTEND.describe, Buffer.from('Xname\0')), sync(), query('SELECT 1')], 2);
    await say.say([frame(FRONTEND.describe, Buffer.from('Sname')), sync(), query('SELECT 2')], 2);
    await say.say([frame(FRONTEND.close, Buffer.from('Sname')), sync(), query('SELECT 3')], 2);
    await say.say([frame(FRONTEND.execute, Buffer.from('\0\0')), sync(), query('SELECT 4')], 2);
    await say.say(
      [parse('', 'SELECT 1'), frame(FRONTEND.bind, cString(''), cString(''), int16(5)), sync(), query('SELECT 5')],
      2,
    );
    await say.say([bind('', 'unknown'), ...statement('', 'SELECT 6'), sync(), ...statement('', 'SELECT 7'), sync()], 2);
  },
};

describe('the same answers as PostgreSQL:', () => {
  test.each(Object.entries(SCRIPTS))('%s', async (_, script) => {
    const direct = new Speaker(await connect(front.server.port));
    const through = new Speaker(await connect(proxy.port));
    try {
      await script(direct);
      await script(through);
      expect(through.heard).toEqual(direct.heard);
    } finally {
      direct.client.destroy();
      through.client.destroy();
    }
    const next = new Speaker(await connect(proxy.port));
    await next.say([query('SELECT 42')]);
    expect(next.heard[1]).toContain('42');
    next.client.destroy();
  });
});

test('two clients with the same scripts at once on one server connection', async () => {
  const names = [
    'names: taken, closed, unknown, prepared again',
    'a pipeline of everything, with an error in it and Parse behind the error',
    'SQL and the protocol share the names of statements',
  ];
  for (const name of names) {
    const script = SCRIPTS[name] as Script;
    const direct = new Speaker(await connect(front.server.port));
    await script(direct);
    direct.client.destroy();
    const speakers = await Promise.all([0, 1, 2].map(async () => new Speaker(await connect(proxy.port))));
    await Promise.all(speakers.map(script));
    for (const speaker of speakers) {
      expect(speaker.heard, name).toEqual(direct.heard);
      speaker.client.destroy();
    }
  }
});
