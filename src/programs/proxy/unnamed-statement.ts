import type { Hazards } from '#sql/hazards.ts';
import { readStatement, type StatementFacts } from '#sql/read-statement.ts';
import { ownCopy } from './own-copy.ts';

/** The unnamed statement of a client, as it last prepared it. */
export interface Unnamed {
  readonly message: Buffer;
  readonly facts: StatementFacts;
  /** What `facts` were read by. */
  readonly readBy: Hazards;
}

/** Of the Parse message in [from, to) with its text from `textFrom` on: what was prepared before, when that is the same. */
export function unnamedStatement(
  before: Unnamed | null,
  bytes: Buffer,
  from: number,
  to: number,
  textEnd: number,
  hazards: Hazards,
): Unnamed {
  if (before !== null && before.readBy === hazards && bytes.compare(before.message, 0, before.message.length, from, to) === 0)
    return before;
  const facts = readStatement(bytes, from + TEXT_AT, textEnd, hazards);
  return { message: ownCopy(bytes.subarray(from, to)), facts, readBy: hazards };
}

/** Behind the header and the empty name. */
export const TEXT_AT = 6;
