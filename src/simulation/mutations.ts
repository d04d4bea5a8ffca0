import type { RuleName } from '#core/ha/rules.ts';
import { NO_SABOTAGE, optionsOf, type Sabotage, type WorldOptions } from './options.ts';
import { type Outcome, Run } from './run.ts';
import { abandonedElections } from './scenarios/abandoned-elections.ts';
import { answerLost } from './scenarios/answer-lost.ts';
import { degradedDuringClaim } from './scenarios/degraded-during-claim.ts';
import { recoveredAndAlone } from './scenarios/recovered-and-alone.ts';
import { restartedAndBehind } from './scenarios/restarted-and-behind.ts';
import { quietWorld, type Scenario } from './scenarios/scenario.ts';
import { forgetfulWorld, stormyWorld } from './scenarios/stormy-world.ts';
import { unacknowledgedWal } from './scenarios/unacknowledged-wal.ts';

/** Where a wrong core shows: the worlds of some seeds, or one scenario with the chance of some seeds in it. */
interface Hunt {
  /** Any of these is the right complaint. */
  readonly caughtAs: readonly string[];
  readonly world: (seed: number) => WorldOptions;
  readonly scenario?: Scenario;
}

export interface Mutation extends Hunt {
  readonly name: string;
  /** The same world with the one thing wrong. */
  readonly change: (options: WorldOptions) => WorldOptions;
}

const quietPreferred = (seed: number): WorldOptions => quietWorld(seed, 'preferred');

/** Every rule of the core, switched off. The compiler asks for each. */
const RULE_HUNTS: Readonly<Record<RuleName, Hunt>> = {
  epochBelowAtClaim: { caughtAs: ['H1'], world: optionsOf },
  ownPromiseAtClaim: { caughtAs: ['H10', 'H12'], world: stormyWorld },
  judgedVersion: { caughtAs: ['H2', 'H8'], world: quietPreferred, scenario: degradedDuringClaim },
  confirmedBeforeRecord: { caughtAs: ['H4', 'H2'], world: stormyWorld },
  bridge: { caughtAs: ['H4', 'H2'], world: optionsOf },
  readBack: { caughtAs: ['H4', 'H2'], world: quietWorld, scenario: answerLost },
  quorum: { caughtAs: ['H8'], world: optionsOf },
  highestInV: { caughtAs: ['H5', 'H2'], world: optionsOf },
  namedTimeline: { caughtAs: ['H2', 'H4', 'H5'], world: optionsOf },
  timelineFirst: { caughtAs: ['H5', 'H2'], world: quietWorld, scenario: unacknowledgedWal },
  predecessorInSet: { caughtAs: ['H4', 'H2'], world: stormyWorld },
  gate: { caughtAs: ['H12'], world: quietWorld, scenario: recoveredAndAlone },
  claimedTimeline: { caughtAs: ['H1', 'H5'], world: stormyWorld },
  persistPromise: { caughtAs: ['H10'], world: optionsOf },
  giveUpFirst: { caughtAs: ['H3'], world: optionsOf },
  detachBeforeAnswer: { caughtAs: ['H3', 'H2'], world: optionsOf },
  detachAgain: { caughtAs: ['H3', 'H2'], world: stormyWorld },
  silenceBeforeGrant: { caughtAs: ['H6'], world: optionsOf },
  degradedStays: { caughtAs: ['H8', 'H2'], world: optionsOf },
  leaseBeforeClaim: { caughtAs: ['H8', 'H6'], world: optionsOf },
  fence: { caughtAs: ['H6'], world: stormyWorld },
  stopBelowEpoch: { caughtAs: ['H9'], world: optionsOf },
  forgetBeforeDiscard: { caughtAs: ['H9', 'H4'], world: optionsOf },
  newIncarnation: { caughtAs: ['H9'], world: optionsOf },
  reclaimNotStand: { caughtAs: ['H7', 'H10'], world: stormyWorld },
  reclaimOnHigher: { caughtAs: ['H7'], world: stormyWorld },
  beyondAllSeen: { caughtAs: ['H7', 'H10'], world: quietWorld, scenario: abandonedElections },
  promiseBeforeFollow: { caughtAs: ['H13'], world: optionsOf },
  followNotBelow: { caughtAs: ['H13'], world: stormyWorld },
};

/** Everything that the world below the core could get wrong. */
const SABOTAGE_HUNTS: Readonly<Record<keyof Sabotage, Hunt>> = {
  skipFsync: { caughtAs: ['H10'], world: optionsOf },
  inForceEndsEarly: { caughtAs: ['H4'], world: stormyWorld },
  detachAnswersEarly: { caughtAs: ['H3', 'H2'], world: stormyWorld },
  positionUnderReported: { caughtAs: ['H2', 'H5'], world: quietWorld, scenario: restartedAndBehind },
  duplicateNames: { caughtAs: ['H4', 'H8'], world: optionsOf },
  unknownMeansNo: { caughtAs: ['H4', 'H2'], world: quietWorld, scenario: answerLost },
  guardSleeps: { caughtAs: ['H6'], world: stormyWorld },
  forgetStrikesOut: { caughtAs: ['H4', 'H2'], world: forgetfulWorld },
};

export const MUTATIONS: readonly Mutation[] = [
  ...Object.entries(RULE_HUNTS).map(([name, hunt]) => ({
    name: `without ${name}`,
    ...hunt,
    change: (options: WorldOptions): WorldOptions => ({ ...options, without: [name as RuleName] }),
  })),
  ...Object.entries(SABOTAGE_HUNTS).map(([name, hunt]) => ({
    name,
    ...hunt,
    change: (options: WorldOptions): WorldOptions => ({ ...options, sabotage: { ...NO_SABOTAGE, [name]: true } }),
  })),
];

function play(options: WorldOptions, scenario: Scenario | undefined): Outcome {
  const run = new Run(options);
  return scenario === undefined ? run.bySeed() : run.byScript(scenario);
}

export interface Catch {
  readonly seed: number;
  readonly mutated: Outcome;
  /** The same world with nothing wrong. */
  readonly sound: Outcome;
}

/** The first seed up to `seeds` in which the mutation is caught for the right reason; null when it never is. */
export function hunt(mutation: Mutation, seeds: number): Catch | null {
  for (let seed = 1; seed <= seeds; seed++) {
    const options = mutation.world(seed);
    const mutated = play(mutation.change(options), mutation.scenario);
    if (mutated.violation === null || !mutation.caughtAs.includes(mutated.violation.invariant)) continue;
    return { seed, mutated, sound: play(options, mutation.scenario) };
  }
  return null;
}
