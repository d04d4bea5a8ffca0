import fc from 'fast-check';
import { serialize } from 'pg-protocol';
import { expect, test } from 'vitest';
import * as decode from './decode-frontend.ts';
import * as encode from './encode-frontend.ts';
import { content, name, oid, text } from './testing/arbitraries.ts';

const values = fc.array(fc.option(fc.oneof(text, content)), { maxLength: 4 });
const kind = fc.constantFrom('S' as const, 'P' as const);

test("a client's messages are read, and ours are the same", () => {
  fc.assert(
    fc.property(text, text, fc.array(oid, { maxLength: 5 }), values, kind, fc.nat(), (one, other, oids, given, target, rows) => {
      expect(decode.readQuery(serialize.query(one))).toBe(one);
      expect(encode.query(one)).toEqual(serialize.query(one));
      const parse = serialize.parse({ name: one, text: other, types: oids });
      expect(decode.readParse(parse)).toEqual({ name: one, text: other, oids });
      expect(encode.parse(one, other, oids)).toEqual(parse);
      const bind = serialize.bind({ portal: one, statement: other, values: given });
      expect(decode.readBindNames(bind)).toEqual({ portal: one, statement: other });
      expect(decode.readBindNames(encode.bind(one, other, given))).toEqual({ portal: one, statement: other });
      const describe = serialize.describe({ type: target, name: one });
      expect(decode.readTarget(describe)).toEqual({ kind: target, name: one });
      expect(encode.describe(target, one)).toEqual(describe);
      const close = serialize.close({ type: target, name: one });
      expect(decode.readTarget(close)).toEqual({ kind: target, name: one });
      expect(encode.close(target, one)).toEqual(close);
      expect(decode.readExecute(serialize.execute({ portal: one, rows }))).toEqual({ portal: one, rows });
      expect(encode.execute(one, rows)).toEqual(serialize.execute({ portal: one, rows }));
    }),
  );
});

test('the messages of a login are read, and ours are the same', () => {
  fc.assert(
    fc.property(name, text, (one, other) => {
      expect(decode.readPassword(serialize.password(one))).toBe(one);
      expect(encode.passwordMessage(one)).toEqual(serialize.password(one));
      const initial = serialize.sendSASLInitialResponseMessage(one, other);
      expect(decode.readSaslInitial(initial)).toEqual({ mechanism: one, data: Buffer.from(other) });
      expect(encode.saslInitialResponse(one, Buffer.from(other))).toEqual(initial);
      const response = serialize.sendSCRAMClientFinalMessage(other);
      expect(decode.readSaslResponse(response)).toEqual(Buffer.from(other));
      expect(encode.saslResponse(Buffer.from(other))).toEqual(response);
    }),
  );
  expect(decode.readSaslInitial(Buffer.from('700000000a6100ffffffff', 'hex'))).toEqual({ mechanism: 'a', data: null });
});

test('the messages without content', () => {
  expect(encode.sync()).toEqual(serialize.sync());
  expect(encode.flush()).toEqual(serialize.flush());
  expect(encode.terminate()).toEqual(serialize.end());
  expect(encode.sslRequest()).toEqual(serialize.requestSsl());
  expect(encode.cancelRequest(7, Buffer.of(0, 0, 0, 9))).toEqual(serialize.cancel(7, 9));
});

test('names in another encoding stay apart', () => {
  const named = (byte: number) => decode.readTarget(Buffer.of(0x44, 0, 0, 0, 7, 0x53, byte, 0))?.name;
  expect(named(0xe8)).not.toBe(named(0xe9));
  expect(decode.readTarget(encode.describe('S', '\ufffd'))?.name).toBe('\ufffd');
});

test('whatever comes, a reader neither throws nor reads outside', () => {
  const messages = [
    encode.query('a'),
    encode.parse('a', 'b', [1, 2]),
    encode.bind('a', 'b', ['c', null]),
    encode.describe('S', 'a'),
    encode.execute('a', 1),
    encode.saslInitialResponse('a', Buffer.from('b')),
    encode.passwordMessage('a'),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...messages), content, fc.nat(), fc.nat(), (message, rubbish, at, end) => {
      const bytes = Buffer.from(message);
      rubbish.copy(bytes, at % bytes.length);
      const cut = bytes.subarray(0, end % (bytes.length + 1));
      if (cut.length > 4) cut.writeUInt32BE(cut.length - 1, 1);
      const around = Buffer.concat([Buffer.alloc(3, 0xff), cut, Buffer.alloc(300, 0)]).subarray(3, 3 + cut.length);
      for (const read of Object.values(decode)) expect(read(around)).toEqual(read(cut));
    }),
    { numRuns: 500 },
  );
});
