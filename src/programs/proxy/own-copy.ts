/**
 * A copy for whoever keeps it. What `Buffer.from` and `allocUnsafe` make of a few bytes is a part of a chunk (64 kB), all of which stays
 * in memory as long as any part of it is kept.
 */
export function ownCopy(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}
