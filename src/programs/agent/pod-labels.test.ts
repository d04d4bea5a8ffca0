import { expect, test } from 'vitest';
import { leaderState, RECORD, standbyState } from './patroni/testing/states.ts';
import { podRole } from './pod-labels.ts';

test.each([
  ['a leader that serves', leaderState({}), { role: 'primary', epoch: RECORD.epoch }],
  ['a member that another one leads', standbyState({}), { role: 'replica', epoch: RECORD.epoch }],
  ['a member that knows no record yet', standbyState({ record: null }), null],
])('%s', (_name, state, expected) => {
  expect(podRole(state)).toEqual(expected);
});
