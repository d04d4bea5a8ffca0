import { describe, expect, it } from 'vitest';
import { relate } from './divergence.ts';

const leader = {
  position: { timeline: 4, lsn: 900n },
  lineage: [
    { timeline: 1, end: 100n },
    { timeline: 2, end: 500n },
  ],
};
const log = (timeline: number, lsn: bigint, ...lineage: readonly (readonly [number, bigint])[]) => ({
  position: { timeline, lsn },
  lineage: lineage.map(([number, end]) => ({ timeline: number, end })),
});

describe('how a log relates to the leader’s', () => {
  it.each([
    ['behind on the first timeline', log(1, 80n)],
    ['exactly at a switch point', log(1, 100n)],
    ['on the second timeline', log(2, 300n, [1, 100n])],
    ['on the leader’s own timeline', log(4, 900n, [1, 100n], [2, 500n])],
    ['nothing yet', log(1, 0n)],
  ])('%s: it follows', (_, mine) => {
    expect(relate(mine, leader)).toEqual({ kind: 'follows' });
  });

  it.each([
    ['beyond the switch point', log(1, 101n), { timeline: 1, lsn: 100n }],
    ['beyond the second switch point', log(2, 501n, [1, 100n]), { timeline: 2, lsn: 500n }],
    ['the same number with another fork', log(2, 300n, [1, 90n]), { timeline: 1, lsn: 90n }],
    ['a promotion that nobody followed', log(3, 520n, [1, 100n], [2, 500n]), { timeline: 2, lsn: 500n }],
    ['a timeline that the leader never had', log(5, 950n, [1, 100n], [2, 500n], [4, 880n]), { timeline: 4, lsn: 880n }],
  ])('%s: it gives up what it has beyond the fork', (_, mine, at) => {
    expect(relate(mine, leader)).toEqual({ kind: 'diverged', at });
  });

  it('another beginning: nothing in common', () => {
    expect(relate(log(7, 10n), leader)).toEqual({ kind: 'unrelated' });
  });
});
