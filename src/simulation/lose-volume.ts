import type { Incarnation } from '#domain/member.ts';
import type { VirtualMember } from './member.ts';
import type { World } from './world.ts';

/**
 * A disk may be lost only while everything recorded is on disks that exist, except at most one: what was promised to clients holds
 * against one loss at a time.
 */
export function mayLoseVolume(world: World, member: VirtualMember): boolean {
  const record = world.store.leader.value;
  if (record === null || record.k === 0) return false;
  const counted = [...record.sync, record.incarnation];
  const existing = existingLogs(world, member);
  return counted.filter((incarnation) => !existing.has(incarnation)).length <= 1;
}

/** The incarnations whose logs are on disks, and good for anything; without those of `except`. */
export function existingLogs(world: World, except: VirtualMember | null): ReadonlySet<Incarnation> {
  const having = world.members.filter((member) => member !== except && member.volume.pgdata?.byHand === false);
  return new Set(having.map((member) => member.incarnation));
}

/** WAL and promise are gone, and the member comes back as somebody new; or somebody removed the data directory alone. */
export function loseVolume(world: World, member: VirtualMember, dataAlone: boolean): void {
  const { volume } = member;
  world.note({ kind: 'fault', name: 'a disk is lost', member: member.name });
  member.powerOff();
  const { incarnation, promise } = volume.promise;
  if (volume.pgdata !== null) {
    const { incarnations, log } = volume.pgdata;
    world.note({ kind: 'discarded', member, incarnation, incarnations: [...incarnations], log, kept: 0, promise, by: 'fault' });
  }
  if (dataAlone) volume.pgdata = null;
  else member.volume = member.emptyVolume();
}
