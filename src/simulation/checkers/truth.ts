import type { LeaderRecord } from '#domain/leader-record.ts';
import type { Incarnation } from '#domain/member.ts';
import type { VirtualMember } from '../member.ts';
import { type Log, type Row, tip } from '../wal.ts';
import type { World } from '../world.ts';

/** The log of the member that the record names; null when its disk was lost since. */
export function leaderLog(world: World, record: LeaderRecord): Log | null {
  const member = world.member(record.member);
  return member.incarnation === record.incarnation ? (member.volume.pgdata?.log ?? null) : null;
}

/** Is this server the one that the record means? */
export function isRecordedServer(world: World, member: VirtualMember): boolean {
  const record = world.store.leader.value;
  if (record === null || record.member !== member.name || member.server === null) return false;
  return member.incarnation === record.incarnation && tip(member.server.directory.log).position.timeline === record.timeline;
}

/** Everything that clients were told of, against the log of each leader that comes. */
export class Rows {
  readonly #rows: Row[] = [];
  /** Rows given up because a person or asynchronous mode allowed it. */
  lost = 0;

  add(row: Row): void {
    this.#rows.push(row);
  }

  /** The first row that counts and is not in `log`. */
  missing(log: Log): Row | null {
    return this.#rows.find((row) => isMissing(row, log)) ?? null;
  }

  excuse(log: Log): void {
    for (const row of this.#rows)
      if (isMissing(row, log)) {
        row.excused = true;
        this.lost++;
      }
  }
}

export function isMissing(row: Row, log: Log): boolean {
  return !row.excused && row.record !== null && log[row.record.index] !== row.record;
}

/** Which log holds what each incarnation ever confirmed: those on disks, and those that a fault destroyed. */
export class Copies {
  readonly #destroyed = new Map<Incarnation, Log>();

  destroyed(incarnations: readonly Incarnation[], log: Log): void {
    for (const incarnation of incarnations) this.#destroyed.set(incarnation, [...log]);
  }

  of(world: World, incarnation: Incarnation): Log | null {
    const member = world.members.find((one) => one.incarnation === incarnation);
    const directory = member?.volume.pgdata;
    if (directory != null) return directory.log.slice(0, directory.flushed);
    return this.#destroyed.get(incarnation) ?? null;
  }
}
