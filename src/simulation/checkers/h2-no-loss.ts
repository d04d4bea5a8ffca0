import type { LeaderRecord } from '#domain/leader-record.ts';
import type { Happening } from '../journal.ts';
import type { World } from '../world.ts';
import type { Checker, Complaint } from './checker.ts';
import { isMissing, leaderLog, Rows } from './truth.ts';

/** H2, H3: every acknowledged row is in the log of the leader that the record names, whoever acknowledged it and whenever it arrived. */
export class NoLoss implements Checker {
  readonly invariant = 'H2';
  readonly rows = new Rows();
  /** Timelines below this one were left behind by a change that was allowed to lose. */
  #abandonedBelow = 0;

  happened(happening: Happening, world: World): Complaint {
    const record = world.store.leader.value;
    if (record === null) return null;
    const log = leaderLog(world, record);
    switch (happening.kind) {
      case 'acknowledged': {
        const { row, position } = happening.record;
        if (row === null || row.excused) return null;
        this.rows.add(row);
        if (log === null || !isMissing(row, log)) return null;
        if (position.timeline < this.#abandonedBelow) {
          this.rows.excuse(log);
          return null;
        }
        return `H3: ${happening.server.member.name} completed the commit of row ${row.id}, which ${record.member}, leader of epoch ${record.epoch}, lacks`;
      }
      case 'recorded':
        return happening.before === null || happening.before.member === happening.after.member
          ? null
          : this.#led(world, happening.before, record);
      case 'discarded':
        return log === null ? null : this.#complete(log, record);
      case 'serverEnded':
        return log === null ? null : this.#complete(log, record);
      default:
        return null;
    }
  }

  #led(world: World, before: LeaderRecord, record: LeaderRecord): Complaint {
    const log = leaderLog(world, record);
    if (log === null) return null;
    if (record.cause === 'forced' || (record.cause === 'lease' && before.k === 0)) {
      this.#abandonedBelow = record.timeline;
      this.rows.excuse(log);
    }
    return this.#complete(log, record);
  }

  #complete(log: NonNullable<ReturnType<typeof leaderLog>>, record: LeaderRecord): Complaint {
    const row = this.rows.missing(log);
    return row === null
      ? null
      : `row ${row.id} was acknowledged, and ${record.member}, leader of epoch ${record.epoch}, does not have it`;
  }
}
