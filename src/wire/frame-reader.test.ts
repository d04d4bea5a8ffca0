import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frame } from './frame.ts';
import { FrameReader } from './frame-reader.ts';
import { content, cutInto, cuts } from './testing/arbitraries.ts';

test('any cut gives the same frames, and the unfinished rest', () => {
  const messages = fc.array(fc.tuple(fc.integer({ min: 1, max: 255 }), content), { maxLength: 6 });
  fc.assert(
    fc.property(messages, content, cuts, (list, body, sizes) => {
      const frames = list.map(([type, bytes]) => frame(type, bytes));
      const unfinished = frame(1, body, Buffer.alloc(9)).subarray(0, -9 + (body.length % 9));
      const reader = new FrameReader(100);
      const read = cutInto(Buffer.concat([...frames, unfinished]), sizes).flatMap((chunk) => reader.push(chunk) ?? []);
      expect(read).toEqual(frames);
      expect(reader.rest()).toEqual(unfinished);
    }),
  );
});

test('whatever comes, it is cut into frames or ends', () => {
  fc.assert(
    fc.property(content, cuts, (bytes, sizes) => {
      const reader = new FrameReader(50);
      const whole = new FrameReader(50).push(bytes);
      const read = cutInto(bytes, sizes).map((chunk) => reader.push(chunk));
      if (whole === null) expect(read.at(-1)).toBeNull();
      else expect(read.flat()).toEqual(whole);
    }),
  );
});

test('frames are copies: the chunk may be written over', () => {
  const chunk = frame(0x70, Buffer.from('secret'));
  const [read] = new FrameReader(100).push(chunk) ?? [];
  chunk.fill(0);
  expect(read).toEqual(frame(0x70, Buffer.from('secret')));
});

test.each([
  ['below 4', '7000000003'],
  ['above the limit', '7000000010'],
  ['of 2 GB', '707fffffff'],
  ['of 4 GB', '70ffffffff'],
])('a length %s ends it, now and ever after', (_, hex) => {
  const reader = new FrameReader(16);
  expect(reader.push(Buffer.from(hex, 'hex'))).toBeNull();
  expect(reader.push(frame(0x70))).toBeNull();
});

test('a message as long as the limit is read', () => {
  expect(new FrameReader(16).push(frame(0x70, Buffer.alloc(11)))).toHaveLength(1);
});
