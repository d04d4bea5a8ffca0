import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ScramClient, type ScramSecret } from './scram-client.ts';
import { SCRAM, SCRAM_PLUS } from './scram-keys.ts';
import { ScramServer, type ScramServerOptions } from './scram-server.ts';
import { buildAnyScramVerifier, buildScramVerifier, parseScramVerifier, type ScramVerifier } from './scram-verifier.ts';
import { text } from './testing/arbitraries.ts';

const MOCK_SECRET = Buffer.alloc(32, 1);
const BINDING = Buffer.alloc(32, 2);
const FAILED = { ok: false, code: '28P01', message: 'password authentication failed for user "app"' };

// Few iterations: what a test guards does not depend on them.
async function verifierOf(password: string, iterations = 2): Promise<ScramVerifier> {
  const verifier = parseScramVerifier(await buildAnyScramVerifier(password, randomBytes(16), iterations));
  if (verifier === undefined) throw new Error('the verifier is not one');
  return verifier;
}

function serverWith(verifier: ScramVerifier | null, change: Partial<ScramServerOptions> = {}): ScramServer {
  return new ScramServer({ verifier, mockSecret: MOCK_SECRET, user: 'app', mechanism: SCRAM, channelBinding: null, ...change });
}

type Place = 'clientFirst' | 'serverFirst' | 'clientFinal' | 'serverFinal';
type Change = (place: Place, message: Buffer) => Buffer;

interface Sides {
  readonly secret: ScramSecret;
  readonly verifier: ScramVerifier | null;
  readonly clientBinding?: Buffer | null;
  readonly serverBinding?: Buffer | null;
  /** What the network makes of the offer and of the messages. */
  readonly offer?: (mechanisms: string[]) => string[];
  readonly change?: Change;
}

/** A whole login, as both programs make it: who refused, and what the server learnt. */
async function login(sides: Sides) {
  const {
    secret,
    verifier,
    clientBinding = null,
    serverBinding = null,
    offer = (all) => all,
    change = (_, message) => message,
  } = sides;
  const offered = serverBinding === null ? [SCRAM] : [SCRAM_PLUS, SCRAM];
  const client = new ScramClient({ secret, mechanisms: offer(offered), channelBinding: clientBinding });
  const initial = client.first();
  if (initial === undefined) return { by: 'client' };
  const server = serverWith(verifier, { mechanism: initial.mechanism, channelBinding: serverBinding });
  const first = server.first(change('clientFirst', initial.data));
  if (!first.ok) return { by: 'server', ...first };
  const answer = await client.continue(change('serverFirst', first.data));
  if (!answer.ok) return { by: 'client', ...answer };
  const final = server.final(change('clientFinal', answer.data));
  if (!final.ok) return { by: 'server', ...final };
  if (!client.verify(change('serverFinal', final.data))) return { by: 'client' };
  return { by: null, clientKey: final.clientKey, mechanism: initial.mechanism };
}

const byPassword = (password: string): ScramSecret => ({ kind: 'password', password });
const bindings = fc.constantFrom(
  { clientBinding: null, serverBinding: null },
  { clientBinding: BINDING, serverBinding: BINDING },
  { clientBinding: BINDING, serverBinding: null },
  { clientBinding: null, serverBinding: BINDING },
);

test('who knows the password gets in, and so does who has learnt the key; nobody else', async () => {
  await fc.assert(
    fc.asyncProperty(text, text, bindings, async (password, other, sides) => {
      const verifier = await verifierOf(password);
      const { by, clientKey, mechanism } = await login({ secret: byPassword(password), verifier, ...sides });
      expect(by).toBeNull();
      expect(mechanism).toBe(sides.clientBinding && sides.serverBinding ? SCRAM_PLUS : SCRAM);
      const key: ScramSecret = { kind: 'clientKey', clientKey: clientKey ?? Buffer.alloc(0), verifier };
      expect(await login({ secret: key, verifier, ...sides })).toMatchObject({ by: null, clientKey });
      const wrong = await login({ secret: byPassword(`x${other}`), verifier: await verifierOf(`y${password}`), ...sides });
      expect(wrong).toEqual({ by: 'server', ...FAILED });
    }),
  );
});

test('a byte that is flipped anywhere ends it', async () => {
  const place = fc.constantFrom<Place[]>('clientFirst', 'serverFirst', 'clientFinal', 'serverFinal');
  const verifier = await verifierOf('secret');
  await fc.assert(
    fc.asyncProperty(place, fc.nat(), fc.integer({ min: 1, max: 255 }), bindings, async (where, at, flip, sides) => {
      const change: Change = (here, message) => {
        if (here !== where) return message;
        const bytes = Buffer.from(message);
        const index = at % bytes.length;
        bytes[index] = (bytes[index] ?? 0) ^ flip;
        return bytes;
      };
      expect((await login({ secret: byPassword('secret'), verifier, change, ...sides })).by).not.toBeNull();
    }),
    { numRuns: 2000 },
  );
});

test('a message that is cut, or longer, ends it', async () => {
  const place = fc.constantFrom<Place[]>('clientFirst', 'serverFirst', 'clientFinal', 'serverFinal');
  const verifier = await verifierOf('secret');
  await fc.assert(
    fc.asyncProperty(place, fc.nat(), bindings, async (where, at, sides) => {
      const change: Change = (here, message) => (here === where ? message.subarray(0, at % message.length) : message);
      expect((await login({ secret: byPassword('secret'), verifier, change, ...sides })).by).not.toBeNull();
      const longer: Change = (here, message) => (here === where ? Buffer.concat([message, Buffer.from(',x=1')]) : message);
      expect((await login({ secret: byPassword('secret'), verifier, change: longer, ...sides })).by).not.toBeNull();
    }),
  );
});

test('whatever a client sends, the server answers or refuses', async () => {
  const verifier = await verifierOf('secret');
  const near = fc
    .array(fc.constantFrom('n', 'y', 'p', '=', ',', 'a', 'r', 'c', 'm', 'biws', 'tls-server-end-point', '\0', 'é', '1'))
    .map((parts) => Buffer.from(parts.join('')));
  fc.assert(
    fc.property(near, near, fc.constantFrom(SCRAM, SCRAM_PLUS, 'PLAIN'), (first, final, mechanism) => {
      const server = serverWith(verifier, { mechanism, channelBinding: BINDING });
      expect([true, false]).toContain(server.first(first).ok);
      expect(server.final(final).ok).toBe(false);
    }),
  );
});

test('whatever a server sends, the client refuses it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), async (first) => {
      const client = new ScramClient({ secret: byPassword('secret'), mechanisms: [SCRAM], channelBinding: null });
      expect((await client.continue(Buffer.from(first))).ok).toBe(false);
      expect(client.verify(Buffer.from(first))).toBe(false);
    }),
  );
});

test('a role that does not exist looks like one, always the same', async () => {
  const salts = new Set<string>();
  for (let attempt = 0; attempt < 2; attempt++) {
    const server = serverWith(null);
    const client = new ScramClient({ secret: byPassword('secret'), mechanisms: [SCRAM], channelBinding: null });
    const first = server.first(client.first()?.data ?? Buffer.alloc(0));
    if (!first.ok) throw new Error(first.message);
    salts.add(/s=([^,]+),i=4096$/.exec(first.data.toString())?.[1] ?? '');
    const answer = await client.continue(first.data);
    expect(answer.ok && server.final(answer.data)).toEqual(FAILED);
  }
  expect([...salts]).toEqual([expect.stringMatching(/^[A-Za-z0-9+/]{22}==$/)]);
  // Not even a proof made for the keys of the mock gets in.
  const mock = { iterations: 4096, salt: Buffer.from([...salts][0] ?? '', 'base64') };
  const verifier = { ...mock, storedKey: Buffer.alloc(32), serverKey: Buffer.alloc(32) };
  const secret = { kind: 'clientKey', clientKey: Buffer.alloc(32), verifier } as const;
  expect(await login({ secret, verifier: null })).toEqual({ by: 'server', ...FAILED });
});

const FIRST = (header: string, rest = 'n=,r=abc') => Buffer.from(`${header}${rest}`);

test.each([
  ['an offer of -PLUS that was taken away', SCRAM, FIRST('y,,'), '28000', 'SCRAM channel binding negotiation error'],
  ['-PLUS without a binding', SCRAM_PLUS, FIRST('n,,'), '08P01', 'malformed SCRAM message'],
  ['-PLUS without a binding, y', SCRAM_PLUS, FIRST('y,,'), '08P01', 'malformed SCRAM message'],
  ['a binding without -PLUS', SCRAM, FIRST('p=tls-server-end-point,,'), '08P01', 'malformed SCRAM message'],
  ['another binding', SCRAM_PLUS, FIRST('p=tls-unique,,'), '08P01', 'unsupported SCRAM channel-binding type "tls-unique"'],
  ['another mechanism', 'SCRAM-SHA-1', FIRST('n,,'), '08P01', 'client selected an invalid SASL authentication mechanism'],
  ['another identity', SCRAM, FIRST('n,a=postgres,'), '0A000', 'client uses authorization identity, but it is not supported'],
  ['an extension', SCRAM, FIRST('n,,', 'm=x,n=,r=abc'), '0A000', 'client requires an unsupported SCRAM extension'],
  ['a nonce that is not printable', SCRAM, FIRST('n,,', 'n=,r=a b'), '08P01', 'non-printable characters in SCRAM nonce'],
  ['nothing', SCRAM, Buffer.alloc(0), '08P01', 'malformed SCRAM message'],
  ['a NUL', SCRAM, Buffer.from('n,,n=,r=abc\0'), '08P01', 'malformed SCRAM message'],
])('%s is refused as PostgreSQL refuses it', async (_, mechanism, message, code, said) => {
  const server = serverWith(await verifierOf('secret'), { mechanism, channelBinding: BINDING });
  expect(server.first(message)).toMatchObject({ ok: false, code, message: said });
  expect(server.final(Buffer.from('c=biws,r=abc,p=')).ok).toBe(false);
});

test("another certificate's binding is refused", async () => {
  const sides = { clientBinding: Buffer.alloc(32, 3), serverBinding: BINDING };
  const refused = await login({ secret: byPassword('secret'), verifier: await verifierOf('secret'), ...sides });
  expect(refused).toEqual({ by: 'server', ok: false, code: '28000', message: 'SCRAM channel binding check failed' });
});

test('an offer of -PLUS that a stranger took away is noticed', async () => {
  const sides = { clientBinding: BINDING, serverBinding: BINDING, offer: () => [SCRAM] };
  const refused = await login({ secret: byPassword('secret'), verifier: await verifierOf('secret'), ...sides });
  expect(refused).toMatchObject({ by: 'server', code: '28000' });
});

test('a key is of no use where the verifier is another one', async () => {
  const verifier = await verifierOf('secret');
  const secret = { kind: 'clientKey', clientKey: Buffer.alloc(32), verifier } as const;
  expect(await login({ secret, verifier: await verifierOf('secret') })).toMatchObject({ by: 'client', reason: 'otherVerifier' });
  const more = { ...verifier, iterations: 3 };
  expect(await login({ secret, verifier: more })).toMatchObject({ by: 'client', reason: 'otherVerifier' });
});

test('a server cannot ask for any number of iterations', async () => {
  const change: Change = (place, message) =>
    place === 'serverFirst' ? Buffer.from(message.toString().replace(/i=.*/, 'i=100001')) : message;
  const refused = await login({ secret: byPassword('a'), verifier: await verifierOf('a'), change });
  expect(refused).toMatchObject({ by: 'client', reason: 'iterations' });
});

test('an exchange is for one try', async () => {
  const verifier = await verifierOf('secret');
  const client = new ScramClient({ secret: byPassword('secret'), mechanisms: [SCRAM], channelBinding: null });
  const server = serverWith(verifier);
  const first = server.first(client.first()?.data ?? Buffer.alloc(0));
  if (!first.ok) throw new Error(first.message);
  const answer = await client.continue(first.data);
  if (!answer.ok) throw new Error(answer.message);
  expect(server.final(Buffer.from('c=biws,r=abc,p=')).ok).toBe(false);
  expect(server.final(answer.data).ok).toBe(false);
  expect(server.first(client.first()?.data ?? Buffer.alloc(0)).ok).toBe(false);
});

interface ClientSession {
  readonly mechanism: string;
  readonly response: string;
}
/** node-postgres's own. */
interface ClientSasl {
  startSession(mechanisms: readonly string[], stream?: object): ClientSession;
  continueSession(session: ClientSession, password: string, serverData: string, stream?: object): Promise<void>;
  finalizeSession(session: ClientSession, serverData: string): void;
}
const sasl = createRequire(import.meta.url)('pg/lib/crypto/sasl') as ClientSasl;

test('node-postgres gets in with the password, and with no other', async () => {
  const password = text.filter((value) => value !== '' && /^[\x20-\u02ff]*$/.test(value));
  await fc.assert(
    fc.asyncProperty(password, fc.boolean(), async (secret, right) => {
      const server = serverWith(await verifierOf(right ? secret : `${secret}x`));
      const session = sasl.startSession([SCRAM]);
      const first = server.first(Buffer.from(session.response));
      if (!first.ok) throw new Error(first.message);
      await sasl.continueSession(session, secret, first.data.toString());
      const final = server.final(Buffer.from(session.response));
      if (!right) expect(final).toEqual(FAILED);
      else if (final.ok) sasl.finalizeSession(session, final.data.toString());
      else throw new Error(final.message);
    }),
  );
});

test('verifiers are read as PostgreSQL writes them, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(
      text,
      fc.uint8Array({ minLength: 1, maxLength: 32 }),
      fc.integer({ min: 1, max: 9 }),
      async (password, bytes, iterations) => {
        const salt = Buffer.from(bytes);
        const verifier = await buildAnyScramVerifier(password, salt, iterations);
        expect(parseScramVerifier(verifier)).toMatchObject({ salt, iterations });
        expect(parseScramVerifier(`${verifier}=`)).toBeUndefined();
        expect(parseScramVerifier(verifier.slice(0, -1))).toBeUndefined();
      },
    ),
  );
  for (const other of ['', 'md5d41d8cd98f00b204e9800998ecf8427e', 'SCRAM-SHA-256$0:AA==$AA==:AA==', 'SCRAM-SHA-1$1:a$b:c']) {
    expect(parseScramVerifier(other)).toBeUndefined();
  }
  // RFC 7677, section 3.
  expect(buildScramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'))).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
  expect(() => buildScramVerifier('é')).toThrow(TypeError);
});
