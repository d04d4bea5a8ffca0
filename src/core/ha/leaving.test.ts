import { expect, test } from 'vitest';
import { clusterConfigSchema } from '#domain/config/cluster-config.ts';
import { haSettings } from '#domain/config/ha-settings.ts';
import { DEFAULT_TAGS, type MemberRecord } from '#domain/member.ts';
import type { HaEvent } from './events.ts';
import { step } from './ha.ts';
import { type HaState, initialState } from './state.ts';

const member = (name: string): MemberRecord => ({
  name,
  incarnation: `${name}_aa`,
  api: `${name}:5532`,
  host: name,
  port: 5432,
  tags: DEFAULT_TAGS,
  versions: { matriarch: '0', postgres: '' },
  state: 'streaming',
  position: { timeline: 1, lsn: 1n },
  reason: '',
});

function start(): HaState {
  return initialState({
    self: { name: 'n1', host: 'n1', port: 5432, tags: DEFAULT_TAGS, run: 'r', publishEveryMs: 10_000 },
    config: haSettings(clusterConfigSchema.parse({})),
    promise: 0,
    incarnation: 'n1_aa',
    seed: 1,
    now: 0,
    wall: '',
  });
}

function after(...events: readonly HaEvent[]): HaState {
  return events.reduce((state, event) => step(state, event, 1).state, start());
}

const all: HaEvent = { kind: 'members', members: ['n1', 'n2', 'n3'].map(member) };
const without: HaEvent = { kind: 'members', members: ['n1', 'n2'].map(member) };

test('whoever falls silent stays known; whoever has left is nobody', () => {
  expect(Object.keys(after(all, without).members)).toEqual(['n1', 'n2', 'n3']);
  const state = after(all, without, { kind: 'left', names: ['n3'] });
  expect(Object.keys(state.members)).toEqual(['n1', 'n2']);
  expect(state.left).toEqual(['n3']);
});

test('whoever comes back is a member again, and is waited for when it falls silent', () => {
  const state = after(all, { kind: 'left', names: ['n3'] }, all, { kind: 'left', names: [] }, without);
  expect(Object.keys(state.members)).toEqual(['n1', 'n2', 'n3']);
  expect(state.left).toEqual([]);
});

test('neither a member itself nor the recorded leader can have left', () => {
  const record = {
    epoch: 1,
    member: 'n2',
    incarnation: 'n2_aa',
    timeline: 1,
    sync: ['n1_aa'],
    k: 1,
    eligible: ['n1', 'n2'],
    since: '',
    cause: 'bootstrap' as const,
    evidence: {},
    renewal: 0,
  };
  const state = after(all, { kind: 'record', record, version: 1 }, { kind: 'left', names: ['n1', 'n2', 'n3'] });
  expect(state.left).toEqual(['n3']);
});
