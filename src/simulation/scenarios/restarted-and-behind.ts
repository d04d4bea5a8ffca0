import { cast, join, type Scenario, separate } from './scenario.ts';

/**
 * One standby alone has confirmed the last commits, its server restarts and replays slowly, and the leader dies. Right after a restart
 * the views show less than is on its disk; who believes them elects the other one.
 */
export const restartedAndBehind: Scenario = function* (world) {
  const [leader, behind, ahead] = cast(world);
  separate(world, leader, behind);
  yield 500;
  ahead.server?.end('crash');
  yield () => ahead.server !== null;
  if (ahead.server !== null) ahead.server.replayStalled = true;
  leader.powerOff();
  join(world, leader, behind);
  yield 6000;
};
