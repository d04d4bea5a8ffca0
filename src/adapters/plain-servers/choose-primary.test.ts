import { expect, test } from 'vitest';
import { type Answer, choosePrimary } from './choose-primary.ts';

const primary = (timeline: number): Answer => ({ kind: 'primary', timeline });
const standby: Answer = { kind: 'standby' };
const silent: Answer = { kind: 'silent' };
const away: Answer = { kind: 'away' };
const A = { name: 'a', timeline: 1 };
const B = { name: 'b', timeline: 2 };

test.each<
  [string, { name: string; timeline: number } | null, Answer, Answer, { name: string; timeline: number } | null, string[]]
>([
  ['the one that is not in recovery', null, primary(1), standby, A, []],
  ['nobody has answered yet', null, silent, silent, null, []],
  ['only standbys', null, standby, standby, null, []],
  ['a silent primary stays', A, silent, standby, A, []],
  ['a silent server that was none is none', null, silent, standby, null, []],
  ['a primary that refuses is none', A, away, standby, null, []],
  ['a primary that became a standby is none', A, standby, standby, null, []],
  ['the promoted one beside a silent one', A, silent, primary(2), B, []],
  ['the promoted one beside the old one that still answers', A, primary(1), primary(2), B, []],
  ['the old one, back with its old timeline', B, primary(1), silent, B, []],
  ['two of one timeline: the known one stays', A, primary(1), primary(1), A, ['a', 'b']],
  ['two of one timeline, and the known one only silent', A, silent, primary(1), A, ['a', 'b']],
  ['two of one timeline, none known', null, primary(1), primary(1), null, ['a', 'b']],
  ['one of an older timeline, where the known one is away', B, primary(1), away, A, []],
])('%s', (_, known, a, b, chosen, rivals) => {
  const answers = new Map([
    ['a', a],
    ['b', b],
  ]);
  expect(choosePrimary(known, answers)).toEqual({ primary: chosen, rivals });
});
