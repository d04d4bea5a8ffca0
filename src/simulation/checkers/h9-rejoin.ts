import type { MemberName } from '#domain/member.ts';
import type { Happening } from '../journal.ts';
import type { World } from '../world.ts';
import type { Checker, Complaint } from './checker.ts';

/** "At once": a look, a decision and a stop, on a slow machine. */
const STRAY_MS = 3000;

/** H9: WAL is given up only when nobody counts it any more, under a new name, and a primary below the recorded epoch is stopped. */
export class RejoinInOrder implements Checker {
  readonly invariant = 'H9';
  readonly #straySince = new Map<MemberName, number>();

  happened(happening: Happening, world: World): Complaint {
    if (happening.kind !== 'discarded' || happening.by === 'fault' || happening.kept === happening.log.length) return null;
    const record = world.store.leader.value;
    const { member, incarnations, incarnation } = happening;
    const counted = incarnations.find((name) => record?.sync.includes(name) || record?.incarnation === name);
    if (counted !== undefined) return `${member.name} gives up WAL of ${counted}, which the record counts`;
    if (incarnations.includes(incarnation)) return `${member.name} gave up flushed WAL and is still ${incarnation}`;
    return null;
  }

  moment(world: World): Complaint {
    const record = world.store.leader.value;
    if (record === null) return null;
    const { now } = world.scheduler;
    for (const member of world.members) {
      const informed =
        member.server?.isWritable === true &&
        record.member !== member.name &&
        member.agent?.process.runs === true &&
        world.store.available &&
        !member.volume.hung &&
        !member.volume.full &&
        member.volume.slowness === 1 &&
        world.network.joins(member.node, world.storeNode);
      if (!informed) this.#straySince.delete(member.name);
      else if (!this.#straySince.has(member.name)) this.#straySince.set(member.name, now);
      const since = this.#straySince.get(member.name);
      if (since !== undefined && now - since > STRAY_MS)
        return `${member.name} runs a primary although ${record.member} leads epoch ${record.epoch}`;
    }
    return null;
  }
}
