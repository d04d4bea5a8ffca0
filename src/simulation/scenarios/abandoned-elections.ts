import type { Scenario } from './scenario.ts';

/** The standbys have promised epochs far beyond the record to candidates that died, and now the leader restarts. */
export const abandonedElections: Scenario = function* (world) {
  for (const member of world.members) member.powerOff();
  yield 1000;
  for (const member of world.members) {
    if (member === world.leader) continue;
    member.volume.promise = { ...member.volume.promise, promise: member.volume.promise.promise + 5000 };
    member.volume.syncedPromise = member.volume.promise;
  }
  for (const member of world.members) member.powerOn();
  yield 5000;
};
