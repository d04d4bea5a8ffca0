import type { Happening } from '../journal.ts';
import type { World } from '../world.ts';
import type { Checker, Complaint } from './checker.ts';
import { isMissing, leaderLog, Rows } from './truth.ts';

/** H12: what a client read from a leader in durable mode is in the log of every later leader. */
export class NoVanishingReads implements Checker {
  readonly invariant = 'H12';
  readonly #rows = new Rows();
  #abandonedBelow = 0;

  happened(happening: Happening, world: World): Complaint {
    const record = world.store.leader.value;
    if (record === null) return null;
    const log = leaderLog(world, record);
    if (happening.kind === 'read') {
      for (const row of happening.rows) {
        if (row.excused || row.seen) continue;
        row.seen = true;
        this.#rows.add(row);
        if (log === null || !isMissing(row, log)) continue;
        if ((row.record?.position.timeline ?? 0) < this.#abandonedBelow) this.#rows.excuse(log);
        else
          return `row ${row.id} was read from ${happening.server.member.name}, and ${record.member}, leader of epoch ${record.epoch}, does not have it`;
      }
    }
    if (happening.kind !== 'recorded' || happening.before === null || happening.before.member === record.member || log === null)
      return null;
    if (record.cause === 'forced' || (record.cause === 'lease' && happening.before.k === 0)) {
      this.#abandonedBelow = record.timeline;
      this.#rows.excuse(log);
    }
    const gone = this.#rows.missing(log);
    return gone === null
      ? null
      : `row ${gone.id} had been read from a leader, and ${record.member}, leader of epoch ${record.epoch}, does not have it`;
  }
}
