import { append } from '../wal.ts';
import { cast, join, joinStore, type Scenario, separate, separateFromStore } from './scenario.ts';

/**
 * A leader that is cut off writes a lot that nobody confirms. The next leader acknowledges a little with the third member and dies.
 * Now the first one has the larger LSN and the third one the newer timeline.
 */
export const unacknowledgedWal: Scenario = function* (world) {
  const [first, b, c] = cast(world);
  separate(world, first, b, c);
  separateFromStore(world, first);
  const { server } = first;
  if (server !== null) {
    for (let transaction = 0; transaction < 200; transaction++) append(server.directory.log, 'noise', 4000, null);
    server.directory.flushed = server.directory.log.length;
  }
  yield () => world.leader !== first && world.leader?.server?.gateOpen === true;
  const second = world.leader === b ? b : c;
  const third = second === b ? c : b;
  yield 200;
  second.powerOff();
  join(world, first, third);
  joinStore(world, first);
  yield 8000;
};
