import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeKeyValue, encode, encodeEnd, toNumber, toVersioned } from './encoding.ts';

const bytes = (base64: string) => Buffer.from(base64, 'base64');
const text = fc.string({ unit: 'grapheme' });

test('the end of a prefix lies behind every key that begins with it, and before every other one that sorts behind', () => {
  fc.assert(
    fc.property(text, text, text, (root, rest, other) => {
      const prefix = `${root}/`;
      const end = bytes(encodeEnd(prefix));
      const isWithin = (key: string) =>
        bytes(encode(key)).compare(bytes(encode(prefix))) >= 0 && bytes(encode(key)).compare(end) < 0;
      expect(isWithin(prefix + rest)).toBe(true);
      expect(isWithin(other)).toBe(other.startsWith(prefix));
    }),
  );
});

test('a pair is read as it was written, without the prefix', () => {
  fc.assert(
    fc.property(text, text, fc.nat(), (key, value, version) => {
      const json = { key: encode(`/m/${key}`), value: value === '' ? undefined : encode(value), mod_revision: String(version) };
      expect(decodeKeyValue(json, '/m/')).toEqual({ key, text: value, version });
    }),
  );
});

test('what is no pair of etcd, or none that was asked for, is refused', () => {
  for (const json of [null, {}, 'a', { key: 1 }, { key: encode('/m/a'), value: 1 }, { key: encode('/other'), mod_revision: '1' }])
    expect(() => decodeKeyValue(json, '/m/')).toThrow(/no etcd/);
  expect(() => decodeKeyValue({ key: encode('/m/a'), mod_revision: '9007199254740993' }, '/m/')).toThrow(/no number/);
  expect(toNumber(undefined)).toBe(0);
});

test('a value that is not JSON is there, and undefined', () => {
  expect(toVersioned({ text: '{"a":1}', version: 3 })).toEqual({ value: { a: 1 }, version: 3 });
  expect(toVersioned({ text: 'null', version: 3 })).toEqual({ value: null, version: 3 });
  expect(toVersioned({ text: '', version: 3 })).toEqual({ value: undefined, version: 3 });
});
