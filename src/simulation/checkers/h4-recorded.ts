import type { LeaderRecord } from '#domain/leader-record.ts';
import type { Incarnation } from '#domain/member.ts';
import type { Happening } from '../journal.ts';
import type { VirtualServer } from '../postgres/server.ts';
import type { Row } from '../wal.ts';
import type { World } from '../world.ts';
import type { Checker, Complaint } from './checker.ts';
import { Copies, isMissing, isRecordedServer, leaderLog } from './truth.ts';

/** H4: every acknowledged commit is flushed on k members of the recorded S, and the record covers all that PostgreSQL may be running. */
export class Recorded implements Checker {
  readonly invariant = 'H4';
  readonly #copies = new Copies();
  readonly #acknowledged: Row[] = [];

  happened(happening: Happening, world: World): Complaint {
    switch (happening.kind) {
      case 'discarded':
        if (happening.by === 'fault') this.#copies.destroyed(happening.incarnations, happening.log);
        return null;
      case 'released': {
        const { row } = happening.record;
        const record = world.store.leader.value;
        if (row === null || record === null) return null;
        // What a superseded leader lets go is judged against the log of its successor (H3).
        if (!isRecordedServer(world, happening.server.member)) return null;
        this.#acknowledged.push(row);
        return this.#enough(world, record, [row]);
      }
      case 'recorded': {
        const { before, after } = happening;
        if (after.cause === 'forced' || after.cause === 'lease') return this.#giveUp(world, after);
        const changed = before?.k !== after.k || before.sync.join() !== after.sync.join();
        return changed ? this.#enough(world, after, this.#acknowledged) : null;
      }
      default:
        return null;
    }
  }

  /** A person, or asynchronous mode, allowed the loss of what the new leader lacks. */
  #giveUp(world: World, record: LeaderRecord): null {
    const log = leaderLog(world, record);
    if (log !== null) for (const row of this.#acknowledged) if (isMissing(row, log)) row.excused = true;
    return null;
  }

  #enough(world: World, record: LeaderRecord, rows: readonly Row[]): Complaint {
    if (record.k === 0) return null;
    const logs = record.sync.map((incarnation) => this.#copies.of(world, incarnation));
    for (const row of rows) {
      const commit = row.record;
      if (row.excused || commit === null) continue;
      const copies = logs.filter((log) => log !== null && log[commit.index] === commit).length;
      if (copies < record.k)
        return `row ${row.id} is acknowledged and flushed on ${copies} of the recorded ANY ${record.k} (${record.sync.join(', ')})`;
    }
    return null;
  }

  moment(world: World): Complaint {
    const record = world.store.leader.value;
    const leader = world.leader;
    if (record === null || record.k === 0 || leader?.server == null) return null;
    const { server } = leader;
    if (!server.isWritable || !server.vouched || (!server.gateOpen && server.sessions.size === 0)) return null;
    if (!isRecordedServer(world, leader)) return null;
    return uncovered(server, record);
  }
}

/** A commit is let go by one walsender, by its own k, counting all that count themselves in. */
function uncovered(server: VirtualServer, record: LeaderRecord): Complaint {
  if (!server.syncRep.defined)
    return `nobody's confirmation is waited for, and ANY ${record.k} (${record.sync.join(', ')}) is recorded`;
  const counted = new Set<Incarnation>();
  let outside = 0;
  for (const connection of server.connections) {
    if (!connection.isSynchronous || counted.has(connection.name)) continue;
    counted.add(connection.name);
    if (!record.sync.includes(connection.name)) outside++;
  }
  for (const connection of server.connections) {
    const { k } = connection.view;
    if (!connection.isSynchronous || counted.size < k || k - outside >= record.k) continue;
    return `the walsender of ${connection.name} lets commits go by ANY ${k} (${[...counted].join(', ')}), and ANY ${record.k} (${record.sync.join(', ')}) is recorded`;
  }
  return null;
}
