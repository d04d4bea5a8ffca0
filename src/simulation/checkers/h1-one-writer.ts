import type { LeaderRecord } from '#domain/leader-record.ts';
import type { Happening } from '../journal.ts';
import { tip } from '../wal.ts';
import type { Checker, Complaint } from './checker.ts';

/** H1: at most one member accepts writes as the leader of an epoch, and no timeline has two authors. */
export class OneWriter implements Checker {
  readonly invariant = 'H1';
  readonly #authors = new Map<string, string>();
  readonly #leaders = new Map<number, string>();

  happened(happening: Happening): Complaint {
    if (happening.kind === 'primaryOpened' && !happening.server.directory.byHand) {
      const { member, directory } = happening.server;
      const key = `${directory.systemIdentifier}/${tip(directory.log).position.timeline}`;
      const author = this.#authors.get(key);
      if (author !== undefined && author !== member.name)
        return `${author} and ${member.name} are both primaries of timeline ${key}`;
      this.#authors.set(key, member.name);
    }
    if (happening.kind === 'sent' && happening.message.kind === 'heartbeat' && happening.message.server !== null) {
      const { epoch } = happening.message;
      const leader = this.#leaders.get(epoch);
      if (leader !== undefined && leader !== happening.from.name)
        return `${leader} and ${happening.from.name} both lead epoch ${epoch}`;
      this.#leaders.set(epoch, happening.from.name);
    }
    return happening.kind === 'recorded' && happening.before !== null ? compare(happening.before, happening.after) : null;
  }
}

function compare(before: LeaderRecord, after: LeaderRecord): Complaint {
  if (after.epoch < before.epoch) return `the recorded epoch falls from ${before.epoch} to ${after.epoch}`;
  const sameLeader =
    after.member === before.member && after.incarnation === before.incarnation && after.timeline === before.timeline;
  if (after.epoch === before.epoch && !sameLeader) return `epoch ${after.epoch} passes from ${before.member} to ${after.member}`;
  if (!sameLeader && after.timeline <= before.timeline)
    return `${after.member} claims timeline ${after.timeline} after ${before.timeline}`;
  return null;
}
