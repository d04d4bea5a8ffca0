import { expect, test } from 'vitest';
import { EMPTY_STATE } from '#core/pool/session-state.ts';
import { NO_HAZARDS } from '#sql/hazards.ts';
import { parse } from '#wire/encode-frontend.ts';
import { Statements } from './statements.ts';
import { TEXT_AT, unnamedStatement } from './unnamed-statement.ts';

const COUNT = 200;

/** What stays allocated for these, with all else that lives in the same memory. */
function retainedBytes(buffers: readonly Buffer[]): number {
  return [...new Set(buffers.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** As between any two statements: small buffers come and go. */
function passTheTime(): void {
  for (let n = 0; n < 50; n++) Buffer.from('x'.repeat(2000));
}

test('a text that is remembered keeps nothing but itself in memory', () => {
  const statements = new Statements();
  const kept: Buffer[] = [];
  for (let n = 0; n < COUNT; n++) {
    const { message, nameBytes, name } = statements.intern(parse('s', `SELECT ${n}`), TEXT_AT + 1, EMPTY_STATE, 0, NO_HAZARDS);
    expect(message.toString()).toContain(`${name}\0SELECT ${n}\0`);
    expect(nameBytes.toString()).toBe(`${name}\0`);
    kept.push(message, nameBytes);
    passTheTime();
  }
  expect(statements.size).toBe(COUNT);
  expect(retainedBytes(kept)).toBeLessThan(COUNT * 100);
});

test('nor does the unnamed statement of a client', () => {
  const kept: Buffer[] = [];
  for (let n = 0; n < COUNT; n++) {
    const bytes = parse('', `SELECT ${n}`);
    const { message } = unnamedStatement(null, bytes, 0, bytes.length, bytes.indexOf(0, TEXT_AT), NO_HAZARDS);
    expect(message).toEqual(bytes);
    kept.push(message);
    passTheTime();
  }
  expect(retainedBytes(kept)).toBeLessThan(COUNT * 100);
});
