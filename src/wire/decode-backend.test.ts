import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as decode from './decode-backend.ts';
import * as encode from './encode-backend.ts';
import { frame, int32 } from './frame.ts';
import { BACKEND } from './message-types.ts';
import { negotiate } from './negotiate.ts';
import { content, name, pid, text } from './testing/arbitraries.ts';

test('what was written is read', () => {
  fc.assert(
    fc.property(text, text, pid, fc.array(name), fc.array(fc.option(text)), (one, other, id, names, values) => {
      expect(decode.readParameterStatus(encode.parameterStatus(one, other))).toEqual({ name: one, value: other });
      const notification = { pid: id, channel: one, payload: other };
      expect(decode.readNotification(encode.notificationResponse(id, one, other))).toEqual(notification);
      expect(decode.readCommandTag(encode.commandComplete(one))).toBe(one);
      expect(decode.readDataRow(encode.dataRow(values))).toEqual(values);
      expect(decode.readRowDescription(encode.rowDescription(names.map((each) => ({ name: each, typeOid: 25 }))))).toEqual(names);
      expect(decode.readAuthentication(encode.authenticationSasl(names))).toEqual({ kind: 'sasl', mechanisms: names });
      const error = encode.errorResponse({ severity: 'ERROR', code: '42601', message: one, detail: other });
      expect(Object.fromEntries(decode.readErrorFields(error) ?? [])).toEqual({
        S: 'ERROR',
        V: 'ERROR',
        C: '42601',
        M: one,
        D: other,
      });
    }),
  );
});

test('the requests of the authentication', () => {
  const salt = Buffer.of(1, 2, 3, 4);
  expect(decode.readAuthentication(encode.authenticationOk())).toEqual({ kind: 'ok' });
  expect(decode.readAuthentication(encode.authenticationCleartext())).toEqual({ kind: 'cleartext' });
  expect(decode.readAuthentication(encode.authenticationMd5(salt))).toEqual({ kind: 'md5', salt });
  expect(decode.readAuthentication(encode.authenticationSaslContinue(salt))).toEqual({ kind: 'saslContinue', data: salt });
  expect(decode.readAuthentication(encode.authenticationSaslFinal(salt))).toEqual({ kind: 'saslFinal', data: salt });
  expect(decode.readAuthentication(Buffer.from('52000000080000000d', 'hex'))).toEqual({ kind: 'other', type: 13 });
});

test('a key has 4 to 256 bytes, and outlives its message', () => {
  const secret = Buffer.alloc(256, 7);
  const message = encode.backendKeyData(-5, secret);
  const read = decode.readBackendKeyData(message);
  message.fill(0);
  expect(read).toEqual({ pid: -5, secret });
  expect(decode.readBackendKeyData(encode.backendKeyData(1, Buffer.alloc(3)))).toBeUndefined();
  expect(decode.readBackendKeyData(encode.backendKeyData(1, Buffer.alloc(257)))).toBeUndefined();
});

test('the status behind an answer, and an offer of another protocol', () => {
  expect(decode.readReadyStatus(encode.readyForQuery('T'))).toBe('T');
  expect(decode.readReadyStatus(Buffer.from('5a0000000558', 'hex'))).toBeUndefined();
  const { answer } = negotiate(9, new Map([['_pq_.x', '1']]));
  expect(decode.readNegotiation(answer ?? Buffer.alloc(0))).toEqual({ minor: 2, unknown: ['_pq_.x'] });
});

const READERS = Object.values(decode);

test('whatever comes, a reader neither throws nor reads outside', () => {
  const messages = [
    encode.errorResponse({ severity: 'ERROR', code: '42601', message: 'm' }),
    encode.parameterStatus('a', 'b'),
    encode.backendKeyData(1, Buffer.alloc(4)),
    encode.authenticationSasl(['a', 'b']),
    encode.rowDescription([{ name: 'a', typeOid: 1 }]),
    encode.dataRow(['a', null]),
    encode.notificationResponse(1, 'a', 'b'),
    encode.commandComplete('a'),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...messages), content, fc.nat(), fc.nat(), (message, rubbish, at, end) => {
      const bytes = Buffer.from(message);
      rubbish.copy(bytes, at % bytes.length);
      const cut = bytes.subarray(0, end % (bytes.length + 1));
      if (cut.length > 4) cut.writeUInt32BE(cut.length - 1, 1);
      // The same bytes in the midst of others give the same.
      const around = Buffer.concat([Buffer.alloc(3, 0xff), cut, Buffer.alloc(300, 0)]).subarray(3, 3 + cut.length);
      for (const read of READERS) expect(read(around)).toEqual(read(cut));
    }),
    { numRuns: 500 },
  );
});

test('a message whose length is another is malformed', () => {
  const message = encode.commandComplete('SELECT 1');
  expect(decode.readCommandTag(message.subarray(0, -1))).toBeUndefined();
  expect(decode.readCommandTag(Buffer.concat([message, Buffer.of(0)]))).toBeUndefined();
  expect(decode.readNotification(message)).toBeUndefined();
});

test('a count without what it counts costs nothing', () => {
  const row = Buffer.from('5400000006ffff', 'hex');
  expect(decode.readRowDescription(row)).toBeUndefined();
  const offer = Buffer.from('760000000c00030002ffffffff', 'hex');
  expect(decode.readNegotiation(offer)).toBeUndefined();
});

test('the time of a message of megabytes grows with its length', () => {
  const fields = Buffer.from('Ma\0'.repeat(1_000_000));
  expect(decode.readErrorFields(frame(BACKEND.errorResponse, fields, Buffer.of(0)))?.get('M')).toBe('a');
  expect(decode.readErrorFields(frame(BACKEND.errorResponse, fields))).toBeUndefined();
  const mechanisms = Buffer.from('a\0'.repeat(1_000_000));
  expect(decode.readAuthentication(frame(BACKEND.authentication, int32(10), mechanisms))).toBeUndefined();
});
