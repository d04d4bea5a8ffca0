import { comparePositions } from '#domain/position.ts';
import { serves } from './liveness.ts';
import { existingLogs } from './lose-volume.ts';
import type { VirtualMember } from './member.ts';
import { tip } from './wal.ts';
import type { World } from './world.ts';

/** How long a person watches before he helps, and tries again. World milliseconds. */
const PATIENCE_MS = 5000;
/** A tag of his own may stand in the way; so long he leaves it. */
const TAG_PATIENCE_MS = 25_000;

/** Somebody who watches after the faults, and helps where only a person may: where step 4 cannot hold, or his own tag forbids it. */
export class Person {
  readonly #world: World;
  readonly #since: number;
  #actedAt: number;
  #tagLifted = false;

  constructor(world: World) {
    this.#world = world;
    this.#since = world.scheduler.now;
    this.#actedAt = this.#since;
  }

  watch(): void {
    const { scheduler, members } = this.#world;
    if (scheduler.now - this.#actedAt < PATIENCE_MS || serves(this.#world)) return;
    const barred = members.some((member) => member.tags.nofailover) && scheduler.now - this.#since > TAG_PATIENCE_MS;
    if (!barred && !this.#tagLifted && !needsPerson(this.#world)) return;
    this.#actedAt = scheduler.now;
    const furthest = this.#furthest();
    if (furthest === null) return;
    if (furthest.tags.nofailover) {
      this.#tagLifted = true;
      furthest.tags = { ...furthest.tags, nofailover: false };
      furthest.killAgent();
      furthest.startAgent();
      return;
    }
    this.#world.commands.give(furthest, { kind: 'failover', id: this.#world.commands.nextId(), allowDataLoss: true });
  }

  #furthest(): VirtualMember | null {
    const able = this.#world.members.filter(
      (member) => member.volume.pgdata?.byHand === false && member.name !== this.#world.store.leader.value?.member,
    );
    return able.reduce<VirtualMember | null>((best, member) => (best === null || isFurther(member, best) ? member : best), null);
  }
}

function isFurther(a: VirtualMember, b: VirtualMember): boolean {
  const [mine, theirs] = [a.volume.pgdata, b.volume.pgdata];
  return mine !== null && theirs !== null && comparePositions(tip(mine.log).position, tip(theirs.log).position) > 0;
}

/** Could step 4 never hold with what is on the disks? Then only a person helps (H8). */
function needsPerson(world: World): boolean {
  const record = world.store.leader.value;
  if (record === null) return false;
  const existing = existingLogs(world, null);
  if (existing.has(record.incarnation)) return false;
  if (record.k === 0) return world.config.durability !== 'async' || record.degradedSince !== undefined;
  return record.sync.filter((incarnation) => existing.has(incarnation)).length + record.k <= record.sync.length;
}
