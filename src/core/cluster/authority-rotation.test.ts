import { expect, test } from 'vitest';
import { type AuthorityState, beginChange, nextStage, trustOf } from './authority-rotation.ts';

const OLD = { certificate: 'old\n', key: 'k1' };
const NEW = { certificate: 'new\n', key: 'k2' };
const REST = { authority: OLD, rotation: 0, change: null } as const;
const at = (minutes: number) => minutes * 60_000;
const facts = (state: AuthorityState) => [state.change?.stage ?? null, trustOf(state).issuer.key, trustOf(state).bundle];

test('both are trusted before the new one issues, and the old one is withdrawn when nobody shows anything of it', () => {
  const stages: AuthorityState[] = [beginChange(REST, NEW, 1, at(0))];
  for (let minutes = 11; minutes <= 33; minutes += 11) stages.push(nextStage(stages.at(-1) ?? REST, [], at(minutes)).state);
  expect(stages.map(facts)).toEqual([
    ['trust', 'k1', 'old\nnew\n'],
    ['issue', 'k2', 'old\nnew\n'],
    ['withdraw', 'k2', 'new\n'],
    [null, 'k2', 'new\n'],
  ]);
  expect(stages.at(-1)).toEqual({ authority: NEW, rotation: 1, change: null });
  // Whoever is a stage behind, and whoever is ahead, trusts what the other one shows.
  for (const [index, state] of stages.entries())
    for (const other of stages.slice(Math.max(0, index - 1), index + 2))
      expect(trustOf(other).bundle).toContain(trustOf(state).issuer === OLD ? 'old' : 'new');
});

test('a member that does not use the new files holds it up for ever, and so does the time that proxies need', () => {
  const begun = beginChange(REST, NEW, 1, at(0));
  expect(nextStage(begun, ['main-2'], at(1000))).toEqual({ state: begun, waitingFor: expect.stringContaining('main-2') });
  expect(nextStage(begun, [], at(9))).toEqual({ state: begun, waitingFor: expect.stringContaining('stage 1 of 3') });
  expect(nextStage(REST, [], at(9))).toEqual({ state: REST, waitingFor: null });
});
