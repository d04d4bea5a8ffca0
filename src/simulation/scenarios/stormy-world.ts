import { FAULTS, type FaultKind, optionsOf, type WorldOptions } from '../options.ts';
import { Random } from '../random.ts';

/** What starts elections, interrupts them, and moves S. */
const STORM: readonly FaultKind[] = FAULTS.filter((kind) =>
  [
    'agentCrash',
    'serverCrash',
    'powerOff',
    'partition',
    'oneWayPartition',
    'isolateLeader',
    'storePartition',
    'lostVolume',
  ].includes(kind),
);
const SQUALLS: readonly FaultKind[] = ['switchover', 'serverFreeze', 'agentPause', 'reconfigure', 'restart', 'postmasterStop'];

/** A storm in which people, besides, take members for gone. */
export function forgetfulWorld(seed: number): WorldOptions {
  const stormy = stormyWorld(seed);
  return { ...stormy, faults: [...stormy.faults, 'forget', 'forget'] };
}

/** Many small faults within seconds, with short leases: elections that overlap, answers that are lost, messages that overtake. */
export function stormyWorld(seed: number): WorldOptions {
  const random = new Random(seed, 9);
  const ordinary = optionsOf(seed);
  const members = random.pick([3, 3, 3, 4, 5]);
  const tags = { nofailover: false, priority: 50, nosync: false, clonefrom: false };
  return {
    ...ordinary,
    members,
    tags: Array.from({ length: members }, () => tags),
    fromNothing: false,
    config: {
      ...ordinary.config,
      durability: random.pick(['required', 'required', 'preferred']),
      synchronousCount: members > 3 && random.chance(0.5) ? 2 : 1,
      timings: {
        heartbeatMs: 100,
        fenceMs: 400,
        suspectAfterMs: 500,
        leaseMs: 1500,
        promiseTimeoutMs: 600,
        drainTimeoutMs: 300,
        handoverTimeoutMs: 800,
        degradeAfterMs: 800,
        stopTimeoutMs: 400,
      },
    },
    faults: [...random.shuffled(STORM).slice(0, 3 + random.below(4)), ...random.shuffled(SQUALLS).slice(0, random.below(3))],
    faultEveryMs: random.pick([100, 250, 600]),
    faultsForMs: 12_000,
    crashAtEffectChance: random.pick([0, 0.01, 0.05]),
    latencyMs: random.pick([0.5, 2, 10]),
    stragglerChance: random.pick([0, 0.02, 0.1]),
    storeLossChance: random.pick([0, 0.05, 0.2]),
    storeSlowChance: random.pick([0, 0.1]),
    repeatChance: random.pick([0, 0.1]),
    lossChance: random.pick([0, 0.05]),
    lateReloadChance: random.pick([0, 0.5]),
    thinkMs: random.pick([20, 60]),
  };
}
