import type { MemberName } from '#domain/member.ts';
import type { Happening } from '../journal.ts';
import type { Checker, Complaint } from './checker.ts';

/**
 * H13: before an agent connects its server to a leader it has that leader's epoch on disk as its own promise, and it turns to nobody
 * whose epoch is below it. (PostgreSQL itself reconnects to an address whenever it can; such a connection counts only by H4.)
 */
export class FollowingIsPromise implements Checker {
  readonly invariant = 'H13';
  /** The highest epoch with which each member was ever recorded. */
  readonly #recorded = new Map<MemberName, number>();
  /** By `follower/leader`: the epoch of the last heartbeat that arrived. */
  readonly #heard = new Map<string, number>();

  happened(happening: Happening): Complaint {
    switch (happening.kind) {
      case 'recorded':
        this.#recorded.set(happening.after.member, happening.after.epoch);
        return null;
      case 'delivered':
        if (happening.message.kind === 'heartbeat')
          this.#heard.set(`${happening.to.name}/${happening.from}`, happening.message.epoch);
        return null;
      case 'jobStarted': {
        const { member, job, upstream } = happening;
        if (upstream === null || job === 'fetch') return null;
        const { promise } = member.volume.promise;
        const heard = this.#heard.get(`${member.name}/${upstream}`) ?? 0;
        if (heard > promise) return `${member.name} connects to ${upstream}, leader of epoch ${heard}, with promise ${promise}`;
        const recorded = this.#recorded.get(upstream);
        return recorded !== undefined && recorded < promise
          ? `${member.name} turns to ${upstream}, leader of epoch ${recorded}, with promise ${promise}`
          : null;
      }
      default:
        return null;
    }
  }
}
