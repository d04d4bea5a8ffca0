import { describe, expect, it } from 'vitest';
import type { SyncSetting } from '#domain/leader-record.ts';
import { bridge, covers, implies, mixture, quorumMeets } from './quorum.ts';

const MEMBERS = ['a', 'b', 'c', 'd', 'e'];
const SUBSETS = Array.from({ length: 2 ** MEMBERS.length }, (_, bits) => MEMBERS.filter((_, i) => (bits >> i) & 1));
const SETTINGS: readonly SyncSetting[] = SUBSETS.flatMap((sync) =>
  Array.from({ length: sync.length + 1 }, (_, k) => ({ sync, k })).filter(({ k }) => k > 0 || sync.length === 0),
);

/** How many of `sync` a commit is on, when it is on exactly the members `held`. */
const on = (held: readonly string[], sync: readonly string[]): number => sync.filter((name) => held.includes(name)).length;
const holds = (held: readonly string[], { sync, k }: SyncSetting): boolean => on(held, sync) >= k;

/** Counts pairs (or triples) for which formula and meaning differ, so that one assertion covers the whole space. */
function disagreements<T>(cases: Iterable<T>, formula: (one: T) => boolean, meaning: (one: T) => boolean): readonly T[] {
  const wrong: T[] = [];
  for (const one of cases) if (formula(one) !== meaning(one)) wrong.push(one);
  return wrong;
}

function* pairs(): Generator<readonly [SyncSetting, SyncSetting]> {
  for (const a of SETTINGS) for (const b of SETTINGS) yield [a, b];
}

describe('all settings of five members', () => {
  it('covers: whatever (R, r) acknowledges is on k of S (H4)', () => {
    expect(
      disagreements(
        pairs(),
        ([record, running]) => covers(record, running),
        ([record, running]) => SUBSETS.filter((held) => holds(held, running)).every((held) => holds(held, record)),
      ),
    ).toEqual([]);
  });

  it('implies: what is on k of S is on k′ of S′ (H4 ③)', () => {
    expect(
      disagreements(
        pairs(),
        ([before, after]) => implies(before, after),
        ([before, after]) => SUBSETS.filter((held) => holds(held, before)).every((held) => holds(held, after)),
      ),
    ).toEqual([]);
  });

  it('quorumMeets: V meets every set of k confirmations, and not one promise fewer suffices (step 4)', () => {
    const cases = SETTINGS.filter(({ k }) => k > 0).flatMap((record) => SUBSETS.map((promised) => ({ record, promised })));
    expect(
      disagreements(
        cases,
        ({ record, promised }) => quorumMeets(promised, record),
        ({ record, promised }) => SUBSETS.filter((held) => holds(held, record)).every((held) => on(held, promised) > 0),
      ),
    ).toEqual([]);
  });

  it('bridge: implied by the record before, and covers what PostgreSQL may run until the record after (H4 ①)', () => {
    const wrong = [...pairs()].filter(([before, after]) => {
      const path = bridge(before, after);
      const running = [before, mixture(before, after), after];
      return !implies(before, path) || !covers(path, before) || (path.k > 0 && running.some((setting) => !covers(path, setting)));
    });
    expect(wrong).toEqual([]);
  });

  it('mixture: acknowledges whatever a walsender with either number and either set of names lets go', () => {
    const wrong = [...pairs()].filter(([from, to]) => {
      if (from.k === 0 || to.k === 0) return false;
      const mixed = mixture(from, to);
      // Any k of either side, counted among any names that one of the two shows as synchronous.
      const shown = SUBSETS.filter((names) => names.every((name) => from.sync.includes(name) || to.sync.includes(name)));
      return shown.some((held) => held.length >= Math.min(from.k, to.k) && !holds(held, mixed));
    });
    expect(wrong).toEqual([]);
  });

  it('the claim of step 5 keeps the record true: each member of S′ = S − candidate + predecessor holds what S held', () => {
    const predecessor = 'p';
    for (const record of SETTINGS.filter(({ k }) => k > 0)) {
      for (const candidate of MEMBERS) {
        const sync = [...record.sync.filter((name) => name !== candidate), predecessor];
        // An acknowledged commit is on k of S and on the predecessor; after the claim it must be on k of S′.
        const kept = SUBSETS.filter((held) => holds(held, record)).every((held) => on([...held, predecessor], sync) >= record.k);
        expect(kept).toBe(true);
      }
    }
  });
});
