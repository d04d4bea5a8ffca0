import { cast, type Scenario, separate, separateFromStore } from './scenario.ts';

/**
 * The server of a leader that is cut off is frozen when its clients are to be cut, and goes on behind that: without asking it again it
 * would answer them until the end of the lease.
 */
export const frozenWithoutProof: Scenario = function* (world) {
  const [leader, b, c] = cast(world);
  separate(world, leader, b, c);
  separateFromStore(world, leader);
  const { server } = leader;
  if (server === null) return;
  server.process.paused = true;
  yield 4500;
  world.scheduler.resume(server.process);
  yield 4000;
};
