import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { EFFECT } from '#sql/effects.ts';
import { readStatement } from '#sql/read-statement.ts';
import { dataRow } from '#wire/encode-backend.ts';
import { DatabaseWatch } from './database-watch.ts';
import type { Question } from './group.ts';
import type { ProxyWorld } from './proxy-world.ts';
import type { ServerConnection } from './server-connection.ts';

// When what is known of a database is trusted, question by question.

beforeAll(() => {
  vi.useFakeTimers();
});
afterAll(() => {
  vi.useRealTimers();
});

const asked: Question[] = [];
const server = { ask: (_: string, question: Question) => asked.push(question) } as unknown as ServerConnection;

/** The answers to the epoch and, where that is new, to the hazards. */
function answerEpoch(epoch: string): void {
  const question = asked.shift();
  question?.onRow?.(dataRow([epoch]));
  question?.onDone(null);
}
function answerHazards(): void {
  asked.shift()?.onDone(null);
}

/** A name that the reading did not list may stand for anything. */
function isCautious(watch: DatabaseWatch): boolean {
  const text = Buffer.from('SELECT f()');
  return (readStatement(text, 0, text.length, watch.hazards).effects & EFFECT.code) !== 0;
}

function known(): DatabaseWatch {
  const watch = new DatabaseWatch({} as ProxyWorld, 'd');
  watch.learn(server, () => {});
  answerEpoch('1');
  answerHazards();
  return watch;
}

test('what was read is trusted', () => {
  expect(isCautious(known())).toBe(false);
});

test.each([
  ['before the epoch is answered', false],
  ['before the hazards are answered', true],
])('a definition %s is not in that reading', (_, isBehindEpoch) => {
  const watch = known();
  watch.changed();
  vi.advanceTimersByTime(1000);
  watch.learn(server, () => {});
  // What is being read is not known yet.
  expect(isCautious(watch)).toBe(true);
  if (isBehindEpoch) answerEpoch('2');
  watch.changed();
  if (isBehindEpoch) answerHazards();
  else answerEpoch('1');
  expect(watch.isStale).toBe(true);
  expect(isCautious(watch)).toBe(true);
});
