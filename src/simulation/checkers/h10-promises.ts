import type { LeaderRecord } from '#domain/leader-record.ts';
import type { MemberName } from '#domain/member.ts';
import type { Happening } from '../journal.ts';
import type { Checker, Complaint } from './checker.ts';

/** H10: a promise is on disk before anything depends on it and never falls, and the recorded leader re-claims instead of standing. */
export class PromisesKept implements Checker {
  readonly invariant = 'H10';
  /** The last epoch that each member said it gave up. */
  readonly #gaveUp = new Map<MemberName, number>();
  /** When a fault took each member's disk, by its clock. */
  readonly #lostAt = new Map<MemberName, number>();

  happened(happening: Happening): Complaint {
    switch (happening.kind) {
      case 'promised': {
        const { before, after, member } = happening;
        return after.promise < before.promise
          ? `${member.name}'s promise on disk falls from ${before.promise} to ${after.promise}`
          : null;
      }
      case 'sent': {
        const { message, from } = happening;
        if (message.kind === 'gaveUp') this.#gaveUp.set(from.name, message.epoch);
        if (message.kind === 'heartbeat' && message.server !== null && message.epoch <= (this.#gaveUp.get(from.name) ?? 0))
          return `${from.name} leads epoch ${message.epoch}, which it has given up`;
        if (message.kind !== 'promised' && message.kind !== 'handover') return null;
        const { promise } = from.volume.promise;
        return promise < message.epoch
          ? `${from.name} answers with a promise of ${message.epoch}; on its disk is ${promise}`
          : null;
      }
      case 'discarded':
        if (happening.by === 'fault') this.#lostAt.set(happening.member.name, happening.member.clock.now);
        return null;
      case 'recorded':
        return this.#recorded(happening);
      default:
        return null;
    }
  }

  /** What an agent wrote that has died since, or whose disk was lost since, was right when it was sent. */
  #recorded({ before, after, by, run, sentAt }: Extract<Happening, { kind: 'recorded' }>): Complaint {
    const { promise } = by.volume.promise;
    const late = run !== by.agent?.run || sentAt <= (this.#lostAt.get(by.name) ?? Number.NEGATIVE_INFINITY);
    if (!late && promise < after.epoch) return `${by.name} records epoch ${after.epoch}; on its disk is ${promise}`;
    if (before === null) return null;
    // A re-claim that lands late names a leader that has promised more and has to re-claim again: it changes nothing.
    if (!late && after.cause !== 'reclaim' && after.epoch > before.epoch && promise > after.epoch)
      return `${by.name} takes epoch ${after.epoch} although it has promised ${promise} since`;
    return reclaimed(before, after);
  }
}

function reclaimed(before: LeaderRecord, after: LeaderRecord): Complaint {
  if (before.member !== after.member || before.incarnation !== after.incarnation || before.epoch === after.epoch) return null;
  const unchanged = before.timeline === after.timeline && before.k === after.k && before.sync.join() === after.sync.join();
  if (after.cause === 'reclaim' && unchanged) return null;
  return `${after.member}, whom the record names, takes epoch ${after.epoch} by ${after.cause} with something else changed`;
}
