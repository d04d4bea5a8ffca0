import { cast, joinStore, type Scenario, separate, separateFromStore } from './scenario.ts';

/**
 * Commits wait for standbys that are cut off, the server crashes, and after recovery those commits are visible though nobody else has
 * them. Whoever lets clients in now shows them what the next leader lacks.
 */
export const recoveredAndAlone: Scenario = function* (world) {
  const [leader, b, c] = cast(world);
  separate(world, leader, b, c);
  separateFromStore(world, b, c);
  yield 200;
  leader.server?.end('crash');
  for (let waitedMs = 0; waitedMs < 6000 && leader.server?.gateOpen !== true; waitedMs += 100) yield 100;
  yield 1000;
  leader.powerOff();
  joinStore(world, b, c);
  yield 5000;
};
