import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { EventLoopDelay } from './event-loop-delay.ts';

function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('a block is seen while it lasts and remembered after it', async () => {
  const delay = new EventLoopDelay();
  try {
    block(600);
    // The timer was due after 250 ms at the latest and has not run yet.
    expect(delay.recentMs()).toBeGreaterThanOrEqual(349);
    await pause(0);
    await pause(0);
    expect(delay.recentMs()).toBeGreaterThanOrEqual(349);
  } finally {
    delay.stop();
  }
});

test('is never negative', () => {
  const delay = new EventLoopDelay();
  expect(delay.recentMs()).toBeGreaterThanOrEqual(0);
  delay.stop();
});
