import { expect, test } from 'vitest';
import { CanaryProbe, TICK_MS } from './canary-probe.ts';

function newProbe(secondChance: boolean) {
  const attempts: PromiseWithResolvers<void>[] = [];
  const attempt = () => {
    const pending = Promise.withResolvers<void>();
    attempts.push(pending);
    return pending.promise;
  };
  const probe = new CanaryProbe({ attempt, deadlineMs: 12 * TICK_MS, secondChance });
  const tick = (times: number) => {
    for (let time = 0; time < times; time++) probe.tick();
  };
  const settle = async (index: number) => {
    attempts[index]?.resolve();
    await Promise.resolve();
    await Promise.resolve();
  };
  return { probe, attempts, tick, settle };
}

test('an attempt that is answered is not stuck, and the next one starts from nothing', async () => {
  const { probe, tick, settle, attempts } = newProbe(false);
  probe.begin();
  tick(11);
  expect([probe.isOut, probe.isStuck]).toEqual([true, false]);
  await settle(0);
  expect(probe.isOut).toBe(false);
  probe.begin();
  tick(11);
  expect([attempts.length, probe.isStuck]).toEqual([2, false]);
});

test('an attempt without an answer becomes stuck at the deadline, and its answer is the recovery', async () => {
  const { probe, tick, settle, attempts } = newProbe(false);
  probe.begin();
  tick(12);
  expect(probe.isStuck).toBe(true);
  for (let round = 0; round < 5; round++) {
    probe.begin();
    tick(10);
  }
  expect([attempts.length, probe.isStuck]).toEqual([1, true]);
  await settle(0);
  expect([probe.isOut, probe.isStuck]).toEqual([false, false]);
});

test('halfway there a second attempt begins, and either answer will do', async () => {
  for (const answered of [0, 1]) {
    const { probe, tick, settle, attempts } = newProbe(true);
    probe.begin();
    tick(5);
    expect(attempts.length).toBe(1);
    tick(1);
    expect(attempts.length).toBe(2);
    tick(5);
    await settle(answered);
    expect([probe.isOut, probe.isStuck]).toEqual([false, false]);
    // The other answer comes in the next round and says nothing about it.
    probe.begin();
    await settle(1 - answered);
    expect(probe.isOut).toBe(true);
    tick(12);
    expect([attempts.length, probe.isStuck]).toEqual([4, true]);
  }
});

test('an attempt that fails is an answer', async () => {
  const { probe, attempts } = newProbe(false);
  probe.begin();
  attempts[0]?.reject(new Error('refused'));
  await Promise.resolve();
  await Promise.resolve();
  await Promise.resolve();
  expect(probe.isOut).toBe(false);
});
