import { describe, expect, test } from 'vitest';
import { type Action, failureText, planSwitchover, successText } from './switchover-requests.ts';
import { leaderState, NOW, standbyState } from './testing/states.ts';

type State = ReturnType<typeof leaderState>;
const plan = (action: Action, body: unknown, state: State = standbyState(), leads = false) =>
  planSwitchover(action, body, state, leads, NOW);

const paused = { config: { ...standbyState().config, paused: true } };
const barred = standbyState();
const n3 = barred.members.n3;
const nofailover = n3 && { members: { ...barred.members, n3: { ...n3, tags: { ...n3.tags, nofailover: true } } } };

const REFUSALS: readonly (readonly [action: Action, body: unknown, state: State, status: number, text: string])[] = [
  ['switchover', undefined, standbyState(), 400, 'only from a specific leader'],
  ['switchover', [], standbyState(), 400, 'only from a specific leader'],
  ['switchover', { candidate: 'n2' }, standbyState(), 400, 'only from a specific leader'],
  ['switchover', { leader: 1 }, standbyState(), 400, 'names of members'],
  ['switchover', { leader: 'n1', candidate: { a: 1 } }, standbyState(), 400, 'names of members'],
  ['switchover', { leader: 'n1', candidate: 'n1' }, standbyState(), 400, 'target and source are the same'],
  ['switchover', { leader: 'n1' }, standbyState(paused), 400, 'specific candidate in a paused state'],
  ['switchover', { leader: 'n1', scheduled_at: '2030-01-01T00:00+00' }, standbyState(), 501, 'scheduled'],
  ['switchover', { leader: 'n2' }, standbyState(), 412, 'leader name does not match'],
  ['switchover', { leader: 'n1', candidate: 'n9' }, standbyState(), 412, 'candidate does not exist'],
  ['switchover', { leader: 'n1', candidate: 'n3' }, standbyState(nofailover), 412, 'nofailover'],
  ['failover', {}, standbyState(), 400, 'only to a specific candidate'],
  ['failover', { leader: 'n1' }, standbyState(), 400, 'only to a specific candidate'],
  ['failover', { candidate: 'n1' }, standbyState(), 412, 'is the leader'],
  ['failover', { candidate: 'n2', leader: 'n3' }, standbyState(), 412, 'leader name does not match'],
  ['failover', { candidate: 'n2', scheduled_at: 'now' }, standbyState(), 501, 'scheduled'],
];

test.each(REFUSALS)('POST /%s %j is refused', (action, body, state, status, text) => {
  expect(plan(action, body, state)).toEqual({ kind: 'refuse', status, text: expect.stringContaining(text) });
});

describe('A request goes', () => {
  test('to the leader, whoever was asked', () => {
    const ask = { kind: 'ask', member: 'n1', how: 'handOver' };
    expect(plan('switchover', { leader: 'n1' })).toEqual({ ...ask, action: 'switchover' });
    expect(plan('switchover', { leader: 'n1', candidate: 'n3' })).toEqual({ ...ask, action: 'switchover', candidate: 'n3' });
    expect(plan('switchover', { leader: 'n1', member: 'n3' }, leaderState(), true)).toMatchObject({
      member: 'n1',
      candidate: 'n3',
    });
    expect(plan('switchover', { leader: 'n1', candidate: 'n2' }, standbyState(paused))).toMatchObject({ how: 'handOver' });
    expect(plan('failover', { candidate: 'n3' })).toEqual({ ...ask, action: 'failover', candidate: 'n3' });
  });

  test('to the candidate, when there is no leader', () => {
    const alone = standbyState({}, NOW - 1501);
    expect(plan('failover', { candidate: 'n3' }, alone)).toEqual({
      kind: 'ask',
      member: 'n3',
      how: 'stand',
      action: 'failover',
      candidate: 'n3',
    });
    expect(plan('failover', { candidate: 'n3', leader: 'n1' }, alone)).toMatchObject({ member: 'n1', how: 'handOver' });
  });
});

test('The answers are Patroni’s', () => {
  expect(successText('switchover', 'n2', undefined)).toBe('Successfully switched over to "n2"');
  expect(successText('failover', 'n2', 'n2')).toBe('Successfully failed over to "n2"');
  expect(successText('switchover', 'n2', 'n3')).toBe('Switched over to "n2" instead of "n3"');
  expect(failureText('failover', 'failed: no')).toBe('Failover failed: no');
});
