// Messages in pieces: byte by byte, half sent while something else happens, and the versions of the protocol.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readErrorFields } from '#wire/decode-backend.ts';
import { bind, describe as describeMessage, execute, parse, query, startupMessage, sync } from '#wire/encode-frontend.ts';
import { frame } from '#wire/frame.ts';
import { BACKEND, FRONTEND } from '#wire/message-types.ts';
import type { Login } from '../support/plain-server.ts';
import { Front, type ProxyInFront, until } from '../support/proxy-front.ts';
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

const copyData = (text: string | Buffer) => frame(FRONTEND.copyData, Buffer.from(text));
const copyDone = () => frame(FRONTEND.copyDone);
const statement = (name: string, text: string) => [parse(name, text), bind('', name), describeMessage('P', ''), execute('')];

test('a client that sends byte by byte', async () => {
  const client = await connect(proxy.port);
  const trickle = async (bytes: Buffer) => {
    for (const byte of bytes) {
      client.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const script = [
    query('CREATE TEMP TABLE slow (a int)'),
    ...statement('s', 'SELECT 1'),
    sync(),
    query('COPY slow FROM STDIN'),
    copyData('1\n2\n'),
    copyDone(),
    query('TABLE slow'),
  ];
  const sent = trickle(Buffer.concat(script));
  const heard: string[] = [];
  for (let i = 0; i < 4; i++) heard.push(...(await client.untilReady()).map(shown));
  await sent;
  expect(heard.filter((text) => text.startsWith('C'))).toEqual([
    'C CREATE TABLE\0',
    'C SELECT 1\0',
    'C COPY 2\0',
    'C SELECT 2\0',
  ]);
  client.destroy();
});

test('protocol 3.2 has long keys for cancels; what is unknown is named', async () => {
  const asked = async (minor: number, more: readonly (readonly [string, string])[] = []) => {
    const { socket, channel } = proxy.channel();
    channel.send(startupMessage([['user', login.user], ['database', 'postgres'], ...more], minor));
    const first = await channel.next();
    socket.destroy();
    return first;
  };
  expect((await asked(2))[0]).toBe(BACKEND.authentication);
  const negotiated = await asked(9, [['_pq_.wish', 'x']]);
  expect(negotiated[0]).toBe(BACKEND.negotiateProtocolVersion);
  expect(negotiated.readInt32BE(5)).toBe(0x30002);
  expect(negotiated.toString('latin1')).toContain('_pq_.wish');
  expect((await asked(0, [['_pq_.wish', 'x']])).readInt32BE(5)).toBe(0x30000);
});

test('a COPY that fails while a row is on its way keeps its connection until the row has passed', async () => {
  const [copier, other] = [await connect(proxy.port), new Speaker(await connect(proxy.port))];
  copier.send(query('CREATE TEMP TABLE target (a int)'));
  await copier.untilReady();
  copier.send(query('DROP TABLE target; CREATE TABLE target (a int)'));
  await copier.untilReady();
  copier.send(query('COPY target FROM STDIN'));
  expect((await copier.next())[0]).toBe(BACKEND.copyInResponse);
  const large = copyData('9'.repeat(1_000_000));
  copier.send(copyData('wrong\n'), large.subarray(0, 500_000));
  const answer = other.say([query('SELECT 1')]);
  expect(shown(await copier.next())).toContain('C=22P02');
  await copier.untilReady();
  copier.send(large.subarray(500_000), copyDone(), query('SELECT 2'));
  expect((await copier.untilReady()).map(shown)).toContainEqual(expect.stringMatching(/^D .*2$/s));
  await answer;
  expect(other.heard).toContainEqual(expect.stringMatching(/^D .*1$/s));
  // One that leaves with a row half sent takes the connection along.
  copier.send(query('COPY target FROM STDIN'));
  expect((await copier.next())[0]).toBe(BACKEND.copyInResponse);
  copier.send(copyData('wrong\n'), large.subarray(0, 500_000));
  await copier.untilReady();
  copier.destroy();
  await other.say([query('DROP TABLE target'), query('SELECT 3')], 2);
  expect(other.heard.at(-2)).toBe('C SELECT 1\0');
  other.client.destroy();
});

test('a read that is sent again does not mix with the message behind it', async () => {
  const client = await connect(proxy.port);
  const next = query('SELECT 7');
  client.send(query('SELECT pg_sleep(1)'), next.subarray(0, 7));
  await until(async () => {
    const [row] = await front.server.sql("SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1)'");
    await front.server.sql(`SELECT pg_terminate_backend(${row?.pid ?? 'nobody'})`);
  });
  const first = (await client.untilReady()).map(shown);
  client.send(next.subarray(7));
  expect(first.at(-1)).toBe('Z I');
  expect((await client.untilReady()).map(shown)).toContainEqual(expect.stringMatching(/^D .*7$/s));
  client.destroy();
});

test('a client that sends much and reads late gets its own answers', async () => {
  const own = await front.proxy({ limits: { serversPerPool: 2 } });
  const late = await connect(own.port);
  const others = await Promise.all(Array.from({ length: 10 }, () => connect(own.port)));
  const watcher = await front.server.connect();
  late.socket.pause();
  // Each answer is one run of bytes; what the kernel does not take of one waits in the proxy, while it reads the next texts.
  const count = 5000;
  for (let at = 0; at < count; at++) late.send(query(`SELECT ${at} || repeat('a', 4000) /* ${'b'.repeat(4000)} */`));
  const stuck = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE 'SELECT %repeat%'";
  await until(async () => expect((await watcher.query(stuck)).rowCount).toBe(1));
  for (const other of others) {
    other.send(query(`SELECT 1 /* ${'c'.repeat(60_000)} */`));
    await other.untilReady();
  }
  late.socket.resume();
  for (let at = 0; at < count; at++) {
    const row = (await late.untilReady()).find(([type]) => type === BACKEND.dataRow);
    if (row?.toString('latin1', 11) !== `${at}${'a'.repeat(4000)}`)
      expect(`answer ${at}: ${row?.toString('latin1')}`).toBe('its own');
  }
  await watcher.end();
  for (const client of [late, ...others]) client.destroy();
});
