import type { Position } from '#domain/position.ts';

/** Positions that others tell are those of their last looks: a difference below this is the difference of the moments. */
const NOISE_BYTES = 65_536n;

/** Are the two as good as equally far? What is missing then is fetched in a moment, when the promises show it. */
export function isNoise(a: Position, b: Position): boolean {
  const bytes = a.lsn > b.lsn ? a.lsn - b.lsn : b.lsn - a.lsn;
  return a.timeline === b.timeline && bytes <= NOISE_BYTES;
}
