import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Heard, HOLD_BELIEVED_MS, type Merged, mergeViews, NOTHING_HEARD } from './merge-views.ts';
import type { AgentView } from './messages.ts';

const NAMES = ['n1', 'n2', 'n3'];
const address = (name: string) => ({ name, host: '10.0.0.1', port: 5432 + NAMES.indexOf(name) });

function heard(member: string, change: Partial<AgentView> = {}, silentMs = 0): Heard {
  const view: AgentView = {
    kind: 'view',
    member,
    role: 'standby',
    serves: false,
    epoch: 1,
    leader: 'n1',
    timeline: 1,
    holding: false,
    members: NAMES.map((name) => ({ ...address(name), api: '10.0.0.1:1' })),
    maxConnections: 100,
    reservedConnections: 5,
    ...change,
  };
  return { view, speaks: silentMs === 0, silentMs };
}

/** A leader that serves and two that follow it, heard and then silent as said. */
const wellFrom = (before: Merged = NOTHING_HEARD) =>
  mergeViews(before, [heard('n1', { serves: true }), heard('n2'), heard('n3')]);
const LATER = { epoch: 2, leader: 'n2', timeline: 2 } as const;

describe('The primary', () => {
  test('is who says so himself', () => {
    expect(wellFrom().view).toEqual({ epoch: 1, primary: address('n1'), holding: false, servers: NAMES.map(address) });
  });

  test.each<[string, readonly Heard[], string | null, number]>([
    ['stays while its agent is silent and the others agree', [heard('n1', {}, 5000), heard('n2'), heard('n3')], 'n1', 1],
    ['stays while nobody speaks', [heard('n1', { serves: true }, 9), heard('n2', {}, 9)], 'n1', 1],
    ['stays when nobody was ever heard again', [], 'n1', 1],
    ['stays while its new agent has not read the record yet', [heard('n1', { epoch: 0, leader: null }), heard('n2')], 'n1', 1],
    ['is nobody when its own agent says that it does not serve', [heard('n1'), heard('n2')], null, 1],
    ['is nobody from the moment another one claims', [heard('n1', {}, 900), heard('n2', LATER)], null, 2],
    ['is nobody although the old one still believes in itself', [heard('n1', { serves: true }), heard('n2', LATER)], null, 2],
    ['is nobody when only another one says that the new one leads', [heard('n2', {}, 9), heard('n3', LATER)], null, 2],
    ['is the new one by its own word', [heard('n1', { serves: true }), heard('n2', { ...LATER, serves: true })], 'n2', 2],
    ['is not a new one that speaks of the epoch of before', [heard('n2', { serves: true }), heard('n3', LATER)], null, 2],
  ])('%s', (_, next, name, epoch) => {
    const { view } = mergeViews(wellFrom(), next);
    expect([view.primary?.name ?? null, view.epoch]).toEqual([name, epoch]);
  });

  test('that re-claims is the same server: its connections live on', () => {
    const again = { epoch: 7, serves: true };
    const before = wellFrom();
    const { view, epoch } = mergeViews(before, [heard('n1', again), heard('n2', { epoch: 7 }), heard('n3', { epoch: 7 })]);
    // Whoever looks at the view has nothing to do.
    expect(view).toBe(before.view);
    expect([view.primary?.name, view.epoch, epoch]).toEqual(['n1', 1, 7]);
    const other = mergeViews(mergeViews(wellFrom(), [heard('n1', again)]), [heard('n2', { ...LATER, epoch: 8, serves: true })]);
    expect(other.view.epoch).toBe(8);
  });

  test('that leads again after another one is a new one', () => {
    const between = mergeViews(wellFrom(), [heard('n2', { ...LATER, serves: true })]);
    const back = mergeViews(between, [heard('n1', { epoch: 3, timeline: 3, serves: true })]);
    expect([back.view.primary?.name, back.view.epoch]).toEqual(['n1', 3]);
  });
});

describe('A hold', () => {
  const held = mergeViews(wellFrom(), [heard('n1', { serves: true, holding: true }), heard('n2')]);

  test('begins and ends by the word of the primary', () => {
    expect(held.view).toMatchObject({ holding: true, primary: { name: 'n1' } });
    expect(wellFrom(held).view.holding).toBe(false);
    expect(mergeViews(held, [heard('n2', { ...LATER, serves: true })]).view.holding).toBe(false);
  });

  test('is no matter of a standby', () => {
    expect(mergeViews(wellFrom(), [heard('n1', { serves: true }), heard('n2', { holding: true })]).view.holding).toBe(false);
  });

  test('outlives the silence of its agent, but not for ever', () => {
    const silent = (ms: number) => mergeViews(held, [heard('n1', { serves: true, holding: true }, ms), heard('n2')]);
    expect(silent(HOLD_BELIEVED_MS - 1).view).toMatchObject({ holding: true, primary: { name: 'n1' } });
    expect(silent(HOLD_BELIEVED_MS).view).toMatchObject({ holding: false, primary: { name: 'n1' } });
  });
});

describe('The servers', () => {
  test('are where their own agents say, and those that were never heard where the others say', () => {
    const moved = { name: 'n2', host: '10.0.0.9', port: 1, api: '10.0.0.9:2' };
    const { view } = mergeViews(wellFrom(), [
      heard('n1', { serves: true, socketDir: '/run/n1' }),
      heard('n2', { members: [moved] }),
    ]);
    expect(view.servers).toEqual([
      { ...address('n1'), socketDir: '/run/n1' },
      { name: 'n2', host: '10.0.0.9', port: 1 },
      address('n3'),
    ]);
    expect(view.primary).toEqual(view.servers[0]);
  });

  test('are reached as before while their own agent is silent', () => {
    const socket = heard('n1', { serves: true, socketDir: '/run/n1' });
    const before = mergeViews(NOTHING_HEARD, [socket, heard('n2')]);
    const after = mergeViews(before, [{ ...socket, speaks: false, silentMs: 10 }, heard('n2')]);
    expect(after.view).toBe(before.view);
    expect(after).toEqual(before);
  });
});

const anyView = fc.record({
  member: fc.constantFrom(...NAMES),
  serves: fc.boolean(),
  epoch: fc.nat({ max: 4 }),
  holding: fc.boolean(),
  silentMs: fc.constantFrom(0, 0, 0, 100, 20_000),
});
/** One view a member; the leader and the timeline are those of the epoch, as the leader record makes sure. */
const anyHeard = fc
  .uniqueArray(anyView, { selector: ({ member }) => member })
  .map((views) =>
    views.map(({ member, silentMs, epoch, ...change }) =>
      heard(member, { ...change, epoch, leader: epoch === 0 ? null : (NAMES[epoch % 3] ?? null), timeline: epoch }, silentMs),
    ),
  );

test('whatever is heard, in whatever order: the epoch never falls, and a primary has its own word or was there before', () => {
  fc.assert(
    fc.property(fc.array(anyHeard, { maxLength: 8 }), (rounds) => {
      let before = NOTHING_HEARD;
      for (const round of rounds) {
        const after = mergeViews(before, round);
        expect(mergeViews(before, round.toReversed())).toEqual(after);
        const again = mergeViews(after, round);
        expect(again.view).toBe(after.view);
        expect(again).toEqual(after);
        expect(after.epoch).toBeGreaterThanOrEqual(before.epoch);
        expect(after.view.epoch).toBeGreaterThanOrEqual(before.view.epoch);
        const { primary, epoch } = after.view;
        const own = round.find(({ view }) => view.member === primary?.name);
        const byItsWord = own?.speaks === true && own.view.serves && own.view.epoch === after.epoch;
        const asBefore = primary !== null && primary.name === before.view.primary?.name && epoch === before.view.epoch;
        expect(primary === null || byItsWord || (asBefore && (own === undefined || !own.speaks || own.view.epoch === 0))).toBe(
          true,
        );
        before = after;
      }
    }),
  );
});
