import fc from 'fast-check';

/** What fits between two NULs. */
export const text = fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.replaceAll('\0', ''));

export const name = text.filter((value) => value !== '');

export const oid = fc.integer({ min: 0, max: 2_147_483_647 });

export const pid = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 });

export const content = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes));

/** Where a stream is cut: sizes of the chunks, taken in turn. */
export const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 });

export function cutInto(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}
