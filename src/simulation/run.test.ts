import { describe, expect, test } from 'vitest';
import { COVERED } from './coverage.ts';
import { optionsOf } from './options.ts';
import { Run } from './run.ts';
import { abandonedElections } from './scenarios/abandoned-elections.ts';
import { answerLost } from './scenarios/answer-lost.ts';
import { degradedDuringClaim } from './scenarios/degraded-during-claim.ts';
import { frozenWithoutProof } from './scenarios/frozen-without-proof.ts';
import { recoveredAndAlone } from './scenarios/recovered-and-alone.ts';
import { restartedAndBehind } from './scenarios/restarted-and-behind.ts';
import { quietWorld } from './scenarios/scenario.ts';
import { forgetfulWorld, stormyWorld } from './scenarios/stormy-world.ts';
import { unacknowledgedWal } from './scenarios/unacknowledged-wal.ts';
import { addOutcome, emptyTally } from './tally.ts';

const SEEDS = 400;

describe('the rules hold in simulated worlds', { timeout: 120_000 }, () => {
  test(`no invariant is violated in ${SEEDS} worlds, and what can happen in them happens`, () => {
    const tally = emptyTally();
    for (let seed = 1; seed <= SEEDS; seed++) addOutcome(tally, new Run(optionsOf(seed)).bySeed());
    expect(tally.failures).toEqual([]);
    const rare = ['fetches'];
    expect(COVERED.filter((name) => tally.counts[name] === 0 && !rare.includes(name))).toEqual([]);
  });

  test.each([
    ['in storms', stormyWorld],
    ['where people take members for gone', forgetfulWorld],
  ] as const)('no invariant is violated %s', (_, world) => {
    const tally = emptyTally();
    for (let seed = 1; seed <= SEEDS / 2; seed++) addOutcome(tally, new Run(world(seed)).bySeed());
    expect(tally.failures).toEqual([]);
  });

  test.each([
    ['degraded during a claim', degradedDuringClaim, 'preferred'],
    ['an answer lost', answerLost, 'required'],
    ['restarted and behind', restartedAndBehind, 'required'],
    ['abandoned elections', abandonedElections, 'required'],
    ['unacknowledged WAL', unacknowledgedWal, 'required'],
    ['recovered and alone', recoveredAndAlone, 'required'],
  ] as const)('no invariant is violated in the scenario: %s', (_, scenario, durability) => {
    for (let seed = 1; seed <= 10; seed++) expect(new Run(quietWorld(seed, durability)).byScript(scenario).violation).toBeNull();
  });

  test('no invariant is violated in the scenario: frozen without proof', () => {
    const { config, ...world } = quietWorld(1);
    const timings = { ...config.timings, leaseMs: 20_000 };
    expect(new Run({ ...world, config: { ...config, timings } }).byScript(frozenWithoutProof).violation).toBeNull();
  });
});

describe('a run is decided by its seed', () => {
  test.each([7, 42, 321])('seed %i does the same twice, told or not', (seed) => {
    const first = new Run(optionsOf(seed)).bySeed();
    const second = new Run(optionsOf(seed), true).bySeed();
    expect(second.hash).toBe(first.hash);
    expect(second.events).toBe(first.events);
  });

  test.each([3, 11, 77])('seed %i: no step changes the state that it was given', (seed) => {
    const options = optionsOf(seed);
    const frozen = new Run({ ...options, frozen: true }).bySeed();
    expect(frozen.violation).toBeNull();
    expect(frozen.hash).toBe(new Run(options).bySeed().hash);
  });

  test('another seed makes another world', () => {
    expect(new Run(optionsOf(8)).bySeed().hash).not.toBe(new Run(optionsOf(7)).bySeed().hash);
  });
});
