import { EFFECT } from '#sql/effects.ts';
import type { StatementFacts } from '#sql/read-statement.ts';
import { FRONTEND } from '#wire/message-types.ts';
import { GROUP, type Preparation } from './group.ts';
import type { Statement } from './prepared-on-server.ts';

/** Of Describe and Close: not a portal. */
export const STATEMENT = 0x53;

/** The name of the statement that an extended message is about; null: of none. */
export function nameIn(type: number, bytes: Buffer, from: number, to: number): string | null {
  if (type === FRONTEND.parse) return bytes.toString('latin1', from + 5, bytes.indexOf(0, from + 5));
  if (type === FRONTEND.bind) {
    const at = bytes.indexOf(0, from + 5) + 1;
    return bytes.toString('latin1', at, bytes.indexOf(0, at));
  }
  if (type !== FRONTEND.describe && type !== FRONTEND.close) return null;
  return bytes[from + 5] === STATEMENT ? bytes.toString('latin1', from + 6, to - 1) : null;
}

export function touchesNames({ named, effects }: StatementFacts): boolean {
  return (named !== null && named.verb !== 'execute') || (effects & EFFECT.discard) !== 0;
}

/** The message with another name in the place of the one that its text names. */
export function replaceName(
  bytes: Buffer,
  from: number,
  to: number,
  at: { readonly start: number; readonly end: number },
  name: string,
): Buffer {
  const body = Buffer.concat([bytes.subarray(from + 5, at.start), Buffer.from(name), bytes.subarray(at.end, to)]);
  const header = Buffer.alloc(5);
  header[0] = bytes[from] as number;
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

let preparations = 0;

export function prepared(undo: () => void, silent: boolean, statement: Statement | null = null): Preparation {
  return { number: ++preparations, undo, silent, confirmed: false, statement };
}

/** Of several statements: it only reads when all do, and ends or begins a transaction when one does. */
export function merge(a: number, b: number): number {
  return (a & b & GROUP.reads) | ((a | b) & (GROUP.ends | GROUP.begins));
}
