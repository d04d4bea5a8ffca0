import fc from 'fast-check';
import { serialize } from 'pg-protocol';
import { expect, test } from 'vitest';
import { cancelRequest, sslRequest, startupMessage } from './encode-frontend.ts';
import { readStartup } from './read-startup.ts';
import { content, name, pid, text } from './testing/arbitraries.ts';

const USER = [['user', 'app']] as const;

function parametersOf(bytes: Buffer): Record<string, string> | string {
  const startup = readStartup(bytes);
  if (startup.kind === 'invalid') return `${startup.code}: ${startup.message}`;
  return startup.kind === 'startup' ? Object.fromEntries(startup.parameters) : startup.kind;
}

test('a session that asks for what it wants', () => {
  const list = fc.array(fc.tuple(name, text), { maxLength: 6 });
  fc.assert(
    fc.property(list, fc.integer({ min: 0, max: 65_535 }), content, (pairs, minor, behind) => {
      const parameters = new Map([...pairs, ['user', 'app'], ['database', 'orders']] as [string, string][]);
      const packet = startupMessage(parameters, minor);
      const startup = { kind: 'startup', major: 3, minor, parameters, length: packet.length };
      expect(readStartup(Buffer.concat([packet, behind]))).toEqual(startup);
      for (const cut of [0, 3, 4, 8, packet.length - 1]) {
        expect(readStartup(packet.subarray(0, cut))).toEqual({ kind: 'incomplete' });
      }
    }),
  );
  expect(parametersOf(serialize.startup({ user: 'app', database: 'orders' }))).toMatchObject({ user: 'app', database: 'orders' });
});

test('requests without a session', () => {
  expect(readStartup(sslRequest())).toEqual({ kind: 'ssl', length: 8 });
  expect(readStartup(Buffer.from('0000000804d21630', 'hex'))).toEqual({ kind: 'gss', length: 8 });
  expect(parametersOf(Buffer.from('0000000904d2162f00', 'hex'))).toBe('08P01: invalid length of startup packet');
  fc.assert(
    fc.property(pid, fc.uint8Array({ minLength: 4, maxLength: 256 }), (id, bytes) => {
      const secret = Buffer.from(bytes);
      expect(readStartup(cancelRequest(id, secret))).toEqual({ kind: 'cancel', pid: id, secret, length: 12 + secret.length });
    }),
  );
  for (const bytes of [0, 3, 257]) {
    expect(parametersOf(cancelRequest(1, Buffer.alloc(bytes)))).toBe('08P01: invalid length of startup packet');
  }
});

test.each([
  ['a length of 7', Buffer.from('00000007', 'hex'), '08P01: invalid length of startup packet'],
  ['a length of 4 GB', Buffer.from('ffffffff', 'hex'), '08P01: invalid length of startup packet'],
  ['a length above PostgreSQL’s limit', Buffer.from('00002715', 'hex'), '08P01: invalid length of startup packet'],
  ['the largest length', Buffer.from('00002714', 'hex'), 'incomplete'],
  ['nobody', startupMessage([]), '28000: no PostgreSQL user name specified in startup packet'],
  ['an empty user', startupMessage([['user', '']]), '28000: no PostgreSQL user name specified in startup packet'],
  [
    'protocol 2.0',
    Buffer.from('000000090002000000', 'hex'),
    '0A000: unsupported frontend protocol 2.0: server supports 3.0 to 3.2',
  ],
  [
    'protocol 4.1',
    Buffer.from('000000090004000100', 'hex'),
    '0A000: unsupported frontend protocol 4.1: server supports 3.0 to 3.2',
  ],
])('%s', (_, bytes, said) => {
  expect(parametersOf(bytes)).toBe(said);
});

test('the parameters end exactly where the packet does', () => {
  const layout = '08P01: invalid startup packet layout: expected terminator as last byte';
  const packet = (body: string) => {
    const bytes = Buffer.from(`........${body}`, 'latin1');
    bytes.writeUInt32BE(bytes.length, 0);
    bytes.writeUInt32BE(0x30000, 4);
    return bytes;
  };
  for (const body of ['', 'user\0app\0', 'user\0app', 'user\0', 'user', 'user\0app\0\0\0', 'user\0app\0\0x\0', '\0\0']) {
    expect(parametersOf(packet(body)), JSON.stringify(body)).toBe(layout);
  }
  expect(parametersOf(packet('user\0app\0\0'))).toEqual({ user: 'app', database: 'app' });
  expect(parametersOf(packet('user\0\xff\0\0'))).toBe('22021: invalid byte sequence for encoding "UTF8"');
});

test('the last value of a name counts, and the database is the user’s unless it is named', () => {
  const twice = startupMessage([...USER, ['user', 'other'], ['database', '']]);
  expect(parametersOf(twice)).toEqual({ user: 'other', database: 'other' });
});

test('a name is cut to 63 bytes, never within a character', () => {
  const long = startupMessage([
    ['user', `${'a'.repeat(62)}é`],
    ['database', 'é'.repeat(32)],
  ]);
  expect(parametersOf(long)).toEqual({ user: 'a'.repeat(62), database: 'é'.repeat(31) });
});

test('whatever comes is read without a throw, and what is behind the packet does not count', () => {
  fc.assert(
    fc.property(fc.constantFrom(3, 0x04d2, 2), content, content, (major, body, behind) => {
      const packet = Buffer.concat([Buffer.alloc(6), body, Buffer.alloc(2)]);
      packet.writeUInt32BE(packet.length, 0);
      packet.writeUInt16BE(major, 4);
      const read = readStartup(packet);
      expect(read.kind).not.toBe('incomplete');
      expect(readStartup(Buffer.concat([packet, behind]))).toEqual(read);
    }),
    { numRuns: 500 },
  );
});
