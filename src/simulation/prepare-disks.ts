import type { LeaderRecord } from '#domain/leader-record.ts';
import { DataDirectory } from './data-directory.ts';
import { append, appendPromotion, firstRecord } from './wal.ts';
import type { World } from './world.ts';

/** A cluster that once ran and was switched off: everybody has the first member's log, and is recorded as having it. */
export function prepareDisks(world: World): void {
  const { members, options, random, store } = world;
  const [leader, ...standbys] = members;
  if (leader === undefined) return;
  const log = [firstRecord()];
  append(log, 'noise', 500, null);
  appendPromotion(log, 2);
  const systemIdentifier = '7000000000000000001';
  for (const member of members) {
    const directory = new DataDirectory({
      systemIdentifier,
      incarnation: member.incarnation,
      log: [...log],
      oldest: 0,
      redo: 0,
      standbySignal: member !== leader,
      clean: random.chance(0.5),
    });
    member.volume.pgdata = directory;
    const promise = member === leader ? 3 : 3 + options.promisedBeyond;
    member.volume.promise = { promise, incarnation: member.incarnation };
    member.volume.syncedPromise = member.volume.promise;
  }
  const { durability, synchronousCount } = options.config;
  const sync = durability === 'async' ? [] : standbys.filter((member) => !member.tags.nosync).map((member) => member.incarnation);
  const k = Math.min(sync.length, synchronousCount);
  const record: LeaderRecord = {
    epoch: 3,
    member: leader.name,
    incarnation: leader.incarnation,
    timeline: 2,
    sync: k === 0 ? [] : sync,
    k,
    eligible: members.filter((member) => !member.tags.nofailover).map((member) => member.name),
    since: '',
    cause: 'failover',
    evidence: {},
    renewal: 0,
  };
  store.identify(null, { systemIdentifier, by: leader.name });
  store.swap(null, record);
  store.append({
    epoch: 3,
    member: leader.name,
    timeline: 2,
    lineage: log[2]?.lineage ?? [],
    cause: 'failover',
    at: '',
    evidence: {},
  });
}
