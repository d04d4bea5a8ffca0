import fc from 'fast-check';
import type { BackendMessage } from 'pg-protocol/dist/messages.js';
import { Parser } from 'pg-protocol/dist/parser.js';
import { expect, test } from 'vitest';
import * as encode from './encode-backend.ts';
import { content, cutInto, cuts, name, oid, pid, text } from './testing/arbitraries.ts';

/** As the client that most of Node's programs use reads it. */
function readByClient(bytes: Buffer, sizes: readonly number[]): BackendMessage[] {
  const parser = new Parser();
  const messages: BackendMessage[] = [];
  // The parser gives salts as views of a buffer that it uses again.
  const copied = (message: BackendMessage) =>
    'salt' in message ? { ...message, salt: Buffer.from(message.salt as Buffer) } : message;
  for (const chunk of cutInto(bytes, sizes)) parser.parse(Buffer.from(chunk), (message) => messages.push(copied(message)));
  return messages;
}

const fields = fc.record(
  {
    severity: fc.constantFrom('ERROR' as const, 'FATAL' as const, 'NOTICE' as const),
    code: fc.constantFrom('08P01', '28P01'),
    message: text,
    detail: text,
    hint: text,
    context: text,
    schema: text,
    table: text,
    column: text,
    dataType: text,
    constraint: text,
    position: fc.nat(),
    internalPosition: fc.nat(),
    internalQuery: text,
    file: text,
    line: fc.nat(),
    routine: text,
  },
  { requiredKeys: ['severity', 'code', 'message'] },
);

function asRead({ context, position, internalPosition, line, ...same }: encode.ErrorFields) {
  const words = (value: number | undefined) => (value === undefined ? undefined : String(value));
  const numbers = { position: words(position), internalPosition: words(internalPosition), line: words(line) };
  return { ...same, where: context, ...numbers };
}

const message = fc.oneof(
  fc.constantFrom(
    [encode.authenticationOk(), { name: 'authenticationOk' }],
    [encode.authenticationCleartext(), { name: 'authenticationCleartextPassword' }],
    [encode.parseComplete(), { name: 'parseComplete' }],
    [encode.bindComplete(), { name: 'bindComplete' }],
    [encode.closeComplete(), { name: 'closeComplete' }],
    [encode.noData(), { name: 'noData' }],
    [encode.emptyQueryResponse(), { name: 'emptyQuery' }],
    ...(['I', 'T', 'E'] as const).map((status) => [encode.readyForQuery(status), { name: 'readyForQuery', status }]),
  ),
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((salt) => {
    return [encode.authenticationMd5(Buffer.from(salt)), { name: 'authenticationMD5Password', salt: Buffer.from(salt) }];
  }),
  fc.array(name, { maxLength: 3 }).map((mechanisms) => {
    return [encode.authenticationSasl(mechanisms), { name: 'authenticationSASL', mechanisms }];
  }),
  text.map((data) => [encode.authenticationSaslContinue(Buffer.from(data)), { name: 'authenticationSASLContinue', data }]),
  text.map((data) => [encode.authenticationSaslFinal(Buffer.from(data)), { name: 'authenticationSASLFinal', data }]),
  fc.tuple(text, text).map(([parameterName, parameterValue]) => {
    return [encode.parameterStatus(parameterName, parameterValue), { name: 'parameterStatus', parameterName, parameterValue }];
  }),
  fc.tuple(pid, pid).map(([processID, secretKey]) => {
    const secret = Buffer.alloc(4);
    secret.writeInt32BE(secretKey);
    return [encode.backendKeyData(processID, secret), { name: 'backendKeyData', processID, secretKey }];
  }),
  text.map((tag) => [encode.commandComplete(tag), { name: 'commandComplete', text: tag }]),
  fc.array(fc.record({ name: text, typeOid: oid, typeSize: fc.integer({ min: -2, max: 9999 }) })).map((columns) => {
    const read = columns.map((column) => ({
      name: column.name,
      dataTypeID: column.typeOid,
      dataTypeSize: column.typeSize,
      dataTypeModifier: -1,
      format: 'text',
    }));
    return [
      encode.rowDescription(columns),
      { name: 'rowDescription', fields: read.map((field) => expect.objectContaining(field)) },
    ];
  }),
  fc.array(fc.option(text)).map((values) => [encode.dataRow(values), { name: 'dataRow', fields: values }]),
  fc.tuple(pid, text, text).map(([processId, channel, payload]) => {
    return [encode.notificationResponse(processId, channel, payload), { name: 'notification', processId, channel, payload }];
  }),
  fc.array(oid).map((dataTypeIDs) => [encode.parameterDescription(dataTypeIDs), { name: 'parameterDescription', dataTypeIDs }]),
  fields.map((said) => [encode.errorResponse(said), { name: 'error', ...asRead(said) }]),
  fields.map((said) => [encode.noticeResponse(said), { name: 'notice', ...asRead(said) }]),
) as fc.Arbitrary<[Buffer, object]>;

test("a client's parser reads what was written, cut anywhere", () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), cuts, (messages, sizes) => {
      const read = readByClient(Buffer.concat(messages.map(([bytes]) => bytes)), sizes);
      expect(read).toEqual(messages.map(([, said]) => expect.objectContaining(said)));
    }),
  );
});

test("an error's fields come in PostgreSQL's order", () => {
  const bytes = encode.errorResponse({ severity: 'ERROR', code: '42601', message: 'm', routine: 'r', position: 3, hint: 'h' });
  expect(bytes.subarray(5).toString('latin1')).toBe('SERROR\0VERROR\0C42601\0Mm\0Hh\0P3\0Rr\0\0');
});

test('an error that quotes a NUL arrives all the same; another string with one is not written', () => {
  expect(readByClient(encode.errorResponse({ severity: 'ERROR', code: '22021', message: 'a\0b' }), [99])).toEqual([
    expect.objectContaining({ message: 'ab' }),
  ]);
  expect(() => encode.parameterStatus('a', 'b\0c')).toThrow(RangeError);
});

test('the secret of a key may have up to 256 bytes', () => {
  fc.assert(
    fc.property(pid, content, (id, secret) => {
      const bytes = encode.backendKeyData(id, secret);
      expect(bytes.length).toBe(9 + secret.length);
    }),
  );
});
