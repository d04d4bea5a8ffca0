import type { HaConfig } from '#core/ha/config.ts';
import type { RuleName } from '#core/ha/rules.ts';
import type { Tags } from '#domain/member.ts';
import { DEFAULT_TIMINGS, type Timings } from '#domain/timings.ts';
import { Random } from './random.ts';

/** What the adapters and the machines below the core might do wrong. Each is a mutation that some run must notice. */
export interface Sabotage {
  /** A promise is answered before it is on disk: a power failure takes it back. */
  readonly skipFsync: boolean;
  /** `setSync` ends when SHOW says so. */
  readonly inForceEndsEarly: boolean;
  /** `detach` answers while a walreceiver still runs. */
  readonly detachAnswersEarly: boolean;
  /** `detach` reports what the views show just after a restart, before local WAL is replayed. */
  readonly positionUnderReported: boolean;
  /** Somebody's pg_receivewal under a member's name is let in, and the name counts twice. */
  readonly duplicateNames: boolean;
  /** A compare-and-set without an answer is reported as not done. */
  readonly unknownMeansNo: boolean;
  /** The guard never ends the server. */
  readonly guardSleeps: boolean;
  /** A member called gone is struck out of the record at once, not by the steps of H4. */
  readonly forgetStrikesOut: boolean;
}

export const NO_SABOTAGE: Sabotage = {
  skipFsync: false,
  inForceEndsEarly: false,
  detachAnswersEarly: false,
  positionUnderReported: false,
  duplicateNames: false,
  unknownMeansNo: false,
  guardSleeps: false,
  forgetStrikesOut: false,
};

export const FAULTS = [
  'agentCrash',
  'agentPause',
  'serverCrash',
  'serverFreeze',
  'postmasterStop',
  'powerOff',
  'memberPause',
  'guardCrash',
  'clockJump',
  'slowDisk',
  'hungDisk',
  'fullDisk',
  'lostVolume',
  'storeOutage',
  'partition',
  'oneWayPartition',
  'isolateLeader',
  'storePartition',
  'everythingOff',
  'switchover',
  'failover',
  'restart',
  'reinit',
  'shutdown',
  'pauseCluster',
  'reconfigure',
  'cancelCommits',
  'replayStall',
  'foreignSetting',
  'promotedByHand',
  'forget',
] as const;
export type FaultKind = (typeof FAULTS)[number];

/** Everything that makes one world differ from another. Times in milliseconds. */
export interface WorldOptions {
  readonly seed: number;
  readonly members: number;
  readonly tags: readonly Tags[];
  readonly config: HaConfig;
  /** The standbys once promised so many epochs beyond the record, to candidates that never came to claim. */
  readonly promisedBeyond: number;
  /** True: the disks are empty and the members bootstrap; false: a cluster that was switched off. */
  readonly fromNothing: boolean;
  readonly clients: number;
  readonly thinkMs: number;
  readonly latencyMs: number;
  readonly lossChance: number;
  readonly repeatChance: number;
  readonly stragglerChance: number;
  /** Of a monotonic clock's rate. */
  readonly driftPerMillion: number;
  /** PostgreSQL's wal_sender_timeout and wal_receiver_timeout. */
  readonly walTimeoutMs: number;
  readonly lateReloadChance: number;
  readonly lateReloadMs: number;
  /** Records kept beyond what is needed. */
  readonly walKept: number;
  readonly replayBytesPerMs: number;
  readonly storeSlowChance: number;
  readonly storeLossChance: number;
  /** Which faults there are, and how long apart. */
  readonly faults: readonly FaultKind[];
  readonly faultEveryMs: number;
  readonly faultsForMs: number;
  /** How often an agent dies at an effect that matters. */
  readonly crashAtEffectChance: number;
  /** The core's state is frozen after every step: whoever changes it in place throws. */
  readonly frozen: boolean;
  readonly without: readonly RuleName[];
  readonly sabotage: Sabotage;
  /** How often members at rest write their records again; they expire after three times as long. */
  readonly publishEveryMs: number;
}

const NO_TAGS: Tags = { nofailover: false, priority: 50, nosync: false, clonefrom: false };

/** The world of a seed: every seed takes another subset of the faults and another size, so that rare combinations come up. */
export function optionsOf(seed: number): WorldOptions {
  const random = new Random(seed, 1);
  const members = random.pick([2, 3, 3, 3, 3, 4, 5]);
  const durability =
    members === 2
      ? random.pick(['preferred', 'preferred', 'required', 'async'] as const)
      : random.pick(['required', 'required', 'required', 'preferred', 'async'] as const);
  const synchronousCount = members >= 4 && random.chance(0.4) ? 2 : 1;
  const tags = Array.from({ length: members }, (): Tags => NO_TAGS);
  const tagged = random.below(members);
  const odd: Tags = random.pick([
    { ...NO_TAGS, nofailover: true },
    { ...NO_TAGS, priority: 90 },
    { ...NO_TAGS, nosync: true },
  ]);
  if (random.chance(0.15) && members > synchronousCount + 1) tags[tagged] = odd;
  return {
    seed,
    members,
    tags,
    config: {
      durability,
      synchronousCount,
      timings: random.chance(0.7) ? DEFAULT_TIMINGS : quickTimings(),
      maximumLagBytes: random.pick([16_384, 1_048_576, 16_777_216]),
      maximumLagOnFailoverBytes: random.pick([0, 4096, 1_048_576]),
      paused: false,
    },
    promisedBeyond: random.chance(0.1) ? 1 + random.below(5) : 0,
    fromNothing: random.chance(0.2),
    clients: 1 + random.below(3),
    thinkMs: random.pick([30, 100, 300]),
    latencyMs: random.pick([0.2, 0.5, 2, 10]),
    lossChance: random.pick([0, 0, 0.01, 0.1]),
    repeatChance: random.pick([0, 0, 0.02, 0.1]),
    stragglerChance: random.pick([0, 0.001, 0.02]),
    driftPerMillion: random.pick([0, 50, 200]),
    walTimeoutMs: random.pick([3000, 5000, 10_000]),
    lateReloadChance: random.pick([0, 0.05, 0.3]),
    lateReloadMs: random.pick([200, 2000]),
    walKept: random.pick([5, 200, 100_000]),
    replayBytesPerMs: random.pick([500, 20_000]),
    storeSlowChance: random.pick([0, 0, 0.02]),
    storeLossChance: random.pick([0, 0, 0.01, 0.05]),
    faults: [
      ...FAULTS.filter((kind) => kind !== 'forget' && random.chance(random.pick([0.1, 0.3, 0.6]))),
      ...(new Random(seed, 4).chance(0.3) ? (['forget'] as const) : []),
    ],
    faultEveryMs: random.pick([300, 1000, 3000, 8000]),
    faultsForMs: random.between(10_000, 40_000),
    crashAtEffectChance: random.pick([0, 0, 0.005, 0.03]),
    frozen: false,
    without: [],
    sabotage: NO_SABOTAGE,
    publishEveryMs: new Random(seed, 5).pick([10_000, 180_000]),
  };
}

/** Shorter leases, so that more of them run out in a run. */
function quickTimings(): Timings {
  return {
    ...DEFAULT_TIMINGS,
    heartbeatMs: 100,
    fenceMs: 600,
    suspectAfterMs: 800,
    leaseMs: 3000,
    degradeAfterMs: 3000,
    drainTimeoutMs: 1000,
  };
}
