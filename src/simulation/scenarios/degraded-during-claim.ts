import { cast, joinStore, type Scenario, separate, separateFromStore } from './scenario.ts';

/**
 * The leader, alone, records k = 0 and goes on by itself while a claim that was judged on the set before is on its way to the store.
 * With two keys in the store, or a claim repeated without judging again, what the leader acknowledged alone is lost.
 */
export const degradedDuringClaim: Scenario = function* (world) {
  const [leader, candidate, voter] = cast(world);
  separate(world, leader, candidate, voter);
  separateFromStore(world, candidate, voter);
  const untilDegradedMs = (): number => {
    const role = leader.agent?.state.role;
    if (role?.kind !== 'leader' || role.shortSince === null) return Number.POSITIVE_INFINITY;
    return role.shortSince + world.config.timings.degradeAfterMs - leader.clock.now;
  };
  yield () => untilDegradedMs() < 1400;
  world.swapDelayMs = (by) => (by === leader ? 0 : Math.max(0, untilDegradedMs()) + 250);
  joinStore(world, candidate, voter);
  yield () => world.store.leader.value?.k === 0;
  world.swapDelayMs = () => 0;
  yield 3000;
};
