import fc from 'fast-check';
import { serialize } from 'pg-protocol';
import { expect, test } from 'vitest';
import { renameBind, renameParse, renameTarget } from './rename-statement.ts';
import { content, oid, text } from './testing/arbitraries.ts';

test('a renamed message is the one that was written with the other name', () => {
  const values = fc.array(fc.option(fc.oneof(text, content)), { maxLength: 4 });
  const types = fc.array(oid, { maxLength: 4 });
  fc.assert(
    fc.property(text, text, text, types, values, fc.constantFrom('S', 'P'), (from, to, other, oids, given, type) => {
      const parse = (name: string) => serialize.parse({ name, text: other, types: oids });
      const bind = (statement: string) => serialize.bind({ portal: other, statement, values: given });
      expect(renameParse(parse(from), to)).toEqual(parse(to));
      expect(renameBind(bind(from), to)).toEqual(bind(to));
      expect(renameTarget(serialize.describe({ type, name: from }), to)).toEqual(serialize.describe({ type, name: to }));
      expect(renameTarget(serialize.close({ type, name: from }), to)).toEqual(serialize.close({ type, name: to }));
    }),
  );
});

test('the bytes of a statement in another encoding stay as they are', () => {
  const message = Buffer.from([0x50, 0, 0, 0, 12, 0x61, 0, 0xe9, 0xff, 0x80, 0, 0, 0]);
  expect(renameParse(message, 'bc')).toEqual(Buffer.from([0x50, 0, 0, 0, 13, 0x62, 0x63, 0, 0xe9, 0xff, 0x80, 0, 0, 0]));
});

test('what is malformed comes back as it was', () => {
  fc.assert(
    fc.property(content, (bytes) => {
      const closed = bytes.map((byte) => byte || 1);
      const malformed = Buffer.from(closed);
      for (const rename of [renameParse, renameBind, renameTarget]) expect(rename(malformed, 'x')).toBe(malformed);
    }),
  );
  expect(() => renameParse(serialize.parse({ text: '' }), 'a\0b')).toThrow(RangeError);
});
