import type { VirtualMember } from './member.ts';
import { commonLength, tip } from './wal.ts';
import type { World } from './world.ts';

/** H7, first half: the member that the record names admits clients on the timeline it claimed. */
export function serves(world: World): boolean {
  const record = world.store.leader.value;
  const server = world.leader?.server;
  return (
    record !== null &&
    server?.isWritable === true &&
    server.gateOpen &&
    tip(server.directory.log).position.timeline === record.timeline
  );
}

/** H7, second half: why the cluster is not yet as it should be; null when it is. What died has come back by itself. */
export function whyNotInOrder(world: World): string | null {
  const record = world.store.leader.value;
  const { leader } = world;
  if (record === null || leader?.server == null) return 'nobody leads';
  if (!serves(world)) return `${leader.name} does not admit clients`;
  for (const member of world.members) {
    if (member === leader) continue;
    const why = whyNotFollowing(member, leader);
    if (why !== null) return why;
  }
  const [left] = world.store.left;
  if (left !== undefined) return `${left} is still said to have left`;
  const { durability, synchronousCount } = world.config;
  if (durability === 'async') return record.k === 0 ? null : `k is ${record.k} in asynchronous mode`;
  const able = world.members.filter((member) => member !== leader && !member.tags.nosync).map((member) => member.incarnation);
  const wanted = Math.min(synchronousCount, able.length);
  if (record.k !== wanted) return `k is ${record.k} and should be ${wanted}`;
  const missing = able.find((incarnation) => !record.sync.includes(incarnation));
  if (missing !== undefined) return `${missing} is not in S`;
  const stale = record.sync.find((incarnation) => !able.includes(incarnation));
  return stale === undefined ? null : `${stale} is still in S`;
}

function whyNotFollowing(member: VirtualMember, leader: VirtualMember): string | null {
  const { server } = member;
  if (server === null || !server.up) return `${member.name}'s server does not run`;
  if (server.role !== 'standby') return `${member.name} is no standby`;
  if (server.walreceiver?.upstream !== leader.server) return `${member.name} does not stream from ${leader.name}`;
  const theirs = leader.server?.directory.log ?? [];
  return commonLength(server.directory.log, theirs) === server.directory.log.length
    ? null
    : `${member.name}'s log has parted from ${leader.name}'s`;
}
