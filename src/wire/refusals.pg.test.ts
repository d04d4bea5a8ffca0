import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestServers } from '#adapters/postgres/testing/test-cluster.ts';
import type { TestServer } from '#adapters/postgres/testing/test-server.ts';
import { readAuthentication, readErrorFields } from './decode-backend.ts';
import { saslInitialResponse, saslResponse, startupMessage } from './encode-frontend.ts';
import { readStartup } from './read-startup.ts';
import { SCRAM } from './scram-keys.ts';
import { ScramServer } from './scram-server.ts';
import { FrameChannel } from './testing/frame-channel.ts';

/** SQLSTATE, message and detail; empty: no error. */
type Said = readonly (string | undefined)[];

let servers: TestServers;
let primary: TestServer;

beforeAll(async () => {
  servers = await TestServers.open();
  primary = await servers.primary('n1');
});
afterAll(() => servers.end());

async function open(): Promise<FrameChannel> {
  const socket = connect(`${primary.layout.socketDir}/.s.PGSQL.${primary.options.port}`);
  await once(socket, 'connect');
  return new FrameChannel(socket);
}

/** What PostgreSQL says to these two messages of a role that does not exist; `~`: the nonce that it gave. */
async function postgresSays(mechanism: string, first: string, final?: string): Promise<Said> {
  const channel = await open();
  channel.send(startupMessage([['user', 'nobody']]));
  await channel.next();
  channel.send(saslInitialResponse(mechanism, Buffer.from(first, 'latin1')));
  for (let message = await channel.next(); ; message = await channel.next()) {
    const fields = readErrorFields(message);
    const request = readAuthentication(message);
    if (fields !== undefined || final === undefined) {
      channel.end();
      return fields === undefined ? [] : ['C', 'M', 'D'].map((letter) => fields.get(letter));
    }
    if (request?.kind === 'saslContinue') channel.send(saslResponse(Buffer.from(withNonce(final, request.data), 'latin1')));
  }
}

function weSay(mechanism: string, first: string, final?: string): Said {
  const server = new ScramServer({
    verifier: null,
    mockSecret: Buffer.alloc(32),
    user: 'nobody',
    mechanism,
    channelBinding: null,
  });
  const challenge = server.first(Buffer.from(first, 'latin1'));
  if (!challenge.ok) return [challenge.code, challenge.message, challenge.detail];
  if (final === undefined) return [];
  const refused = server.final(Buffer.from(withNonce(final, challenge.data), 'latin1'));
  return refused.ok ? [] : [refused.code, refused.message, refused.detail];
}

function withNonce(final: string, challenge: Buffer): string {
  return final.replace('~', /^r=([^,]*)/.exec(challenge.toString('latin1'))?.[1] ?? '');
}

test.each([
  'n,,n=,r=abc',
  'y,,n=,r=abc',
  'n,,n=,r=',
  'n,,n=app,r=abc,x=1,y=2',
  'n,,n=,r=abc,',
  'n,,n=,r=abc,1=2',
  'n,,n=,r=abc,x',
  'n,,n=,r=a\x01c',
  'n,,n=,r=a\xe9c',
  'n,a=x,n=,r=abc',
  'n,b=x,n=,r=abc',
  'n,\xe9,n=,r=abc',
  'nx,n=,r=abc',
  'n',
  'n,',
  'n,,',
  'x',
  '\x01',
  'n,,m=x,n=,r=abc',
  'n,,r=abc',
  'n,,n,r=abc',
  'n,,n=',
  'n,,n=,x=abc',
  'p=tls-server-end-point,,n=,r=abc',
  '',
  'n,,n=,r=abc\0',
])('a first message %j is answered as PostgreSQL answers it', async (first) => {
  expect(weSay(SCRAM, first)).toEqual(await postgresSays(SCRAM, first));
});

const PROOF = `p=${Buffer.alloc(32).toString('base64')}`;

test.each([
  `c=biws,r=~,${PROOF}`,
  `c=biws,r=~,x=1,${PROOF}`,
  `c=biws,r=~x,${PROOF}`,
  `c=biws,r=abc,${PROOF}`,
  `c=eSws,r=~,${PROOF}`,
  `c=,r=~,${PROOF}`,
  `x=biws,r=~,${PROOF}`,
  'c=biws',
  'c=biws,r=~',
  'c=biws,r=~,',
  'c=biws,r=~,x=1',
  'c=biws,r=~,p=',
  'c=biws,r=~,p=AAAA',
  'c=biws,r=~,p=!!!!',
  `c=biws,r=~,${PROOF},`,
  `c=biws,r=~,${PROOF},x=1`,
  '',
])('a final message %j is answered as PostgreSQL answers it', async (final) => {
  expect(weSay(SCRAM, 'n,,n=,r=abc', final)).toEqual(await postgresSays(SCRAM, 'n,,n=,r=abc', final));
});

test.each(['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-1', ''])('a mechanism %j is refused as PostgreSQL refuses it', async (mechanism) => {
  expect(weSay(mechanism, 'n,,n=,r=abc')).toEqual(await postgresSays(mechanism, 'n,,n=,r=abc'));
});

test.each([
  ['nobody', startupMessage([['database', 'postgres']])],
  ['no terminator', Buffer.from('0000000d000300007573657200', 'hex')],
  ['more behind the terminator', Buffer.from('00000011000300007573657200610000ff', 'hex')],
])('a startup packet with %s is refused as PostgreSQL refuses it', async (_, packet) => {
  const channel = await open();
  channel.send(packet);
  const fields = readErrorFields(await channel.next());
  channel.end();
  expect(readStartup(packet)).toEqual({ kind: 'invalid', code: fields?.get('C'), message: fields?.get('M') });
});
