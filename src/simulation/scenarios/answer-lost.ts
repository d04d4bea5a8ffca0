import { cast, join, type Scenario, separate } from './scenario.ts';

/**
 * The record was strengthened to one standby and the answer got lost. A leader that does not find out loosens PostgreSQL to what it
 * believes recorded, and the other standby's confirmation alone lets commits go that an election may leave behind.
 */
export const answerLost: Scenario = function* (world) {
  const [leader, , lagging] = cast(world);
  const before = world.store.leader.value?.sync.length ?? 0;
  separate(world, leader, lagging);
  yield () => (leader.server?.directory.setting.sync.length ?? before) < before;
  world.network.block(world.storeNode, leader.node);
  yield () => (world.store.leader.value?.sync.length ?? before) < before;
  join(world, leader, lagging);
  yield 4000;
  world.network.unblock(world.storeNode, leader.node);
  yield 3000;
};
