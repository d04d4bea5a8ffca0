import { comparePositions } from '#domain/position.ts';
import type { Happening } from '../journal.ts';
import { tip } from '../wal.ts';
import type { World } from '../world.ts';
import type { Checker, Complaint } from './checker.ts';

/** H5: who claims is as far as anybody in V, and only the claimed timeline ever admits clients. */
export class LineageKept implements Checker {
  readonly invariant = 'H5';

  happened(happening: Happening, world: World): Complaint {
    if (happening.kind === 'gate' && happening.open) {
      const { member, directory } = happening.server;
      const record = world.store.leader.value;
      if (record === null || record.member !== member.name || record.incarnation !== member.incarnation) return null;
      if (tip(directory.log).position.timeline === record.timeline) return null;
      return `${member.name} admits clients on timeline ${tip(happening.server.directory.log).position.timeline}; its claim says ${record.timeline}`;
    }
    if (happening.kind !== 'recorded' || happening.before === null || happening.before.member === happening.after.member)
      return null;
    const { after } = happening;
    if (after.cause === 'forced') return null;
    const own = world.member(after.member).volume.pgdata;
    // Its disk was lost while the claim was on its way: judged it was with what it had.
    if (own === null)
      return happening.run === world.member(after.member).agent?.run ? `${after.member} claims without any data` : null;
    for (const name of Object.keys(after.evidence)) {
      const voter = world.member(name);
      // What a person promoted since it promised is on a timeline that counts for nothing.
      const theirDirectory = voter.volume.pgdata;
      if (theirDirectory === null || theirDirectory.byHand || voter.volume.promise.promise !== after.epoch) continue;
      const [theirs, mine] = [tip(theirDirectory.log).position, tip(own.log).position];
      if (comparePositions(theirs, mine) > 0)
        return `${after.member} claims epoch ${after.epoch} although ${name} of its promises is further`;
    }
    return null;
  }
}
