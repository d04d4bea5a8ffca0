import type { LeaderRecord } from '#domain/leader-record.ts';
import type { Incarnation, MemberName } from '#domain/member.ts';
import type { Happening } from '../journal.ts';
import type { World } from '../world.ts';
import type { Checker, Complaint } from './checker.ts';

/** Clocks may differ by their drift, and a change takes its time to be seen. */
const LEASE_SLACK = 0.98;
/** From the verdict to the answer of the store. */
const CLAIM_MS = 2000;

/** H8: nobody leads by a machine's decision unless the promises, as they are on the disks, justify it on the record that is replaced. */
export class VerdictHolds implements Checker {
  readonly invariant = 'H8';
  /** Promises that a fault destroyed after they had been given. */
  readonly #destroyed = new Map<MemberName, { promise: number; incarnation: Incarnation }>();
  #renewedAt = 0;
  /** When the configuration last said async: a claim that was under way when it changed is one of before. */
  #asynchronousAt = Number.NEGATIVE_INFINITY;

  happened(happening: Happening, world: World): Complaint {
    if (happening.kind === 'promised') this.#destroyed.delete(happening.member.name);
    if (happening.kind === 'discarded' && happening.by === 'fault')
      this.#destroyed.set(happening.member.name, { promise: happening.promise, incarnation: happening.incarnation });
    if (happening.kind !== 'recorded') return null;
    const { before, after } = happening;
    const renewedAt = this.#renewedAt;
    this.#renewedAt = world.scheduler.now;
    if (before === null || before.member === after.member || after.cause === 'forced') return null;
    return this.#judge(world, before, after, world.scheduler.now - renewedAt);
  }

  moment(world: World): Complaint {
    if (world.config.durability === 'async') this.#asynchronousAt = world.scheduler.now;
    return null;
  }

  #judge(world: World, before: LeaderRecord, after: LeaderRecord, unrenewedMs: number): Complaint {
    const votes: { readonly name: string; readonly incarnation: Incarnation }[] = [];
    for (const name of Object.keys(after.evidence)) {
      const member = world.member(name);
      const lost = this.#destroyed.get(name);
      if (member.volume.promise.promise >= after.epoch) votes.push({ name, incarnation: member.incarnation });
      else if (lost !== undefined && lost.promise >= after.epoch) votes.push({ name, incarnation: lost.incarnation });
      else
        return `${after.member} counts a promise of ${name} for epoch ${after.epoch}; on its disk is ${member.volume.promise.promise}`;
    }
    if (votes.some((vote) => vote.name === before.member && vote.incarnation === before.incarnation)) return null;
    const inSet = votes.filter((vote) => before.sync.includes(vote.incarnation)).length;
    if (before.k >= 1 && inSet + before.k > before.sync.length) return null;
    const asynchronous = world.scheduler.now - this.#asynchronousAt < CLAIM_MS;
    if (before.k === 0 && before.degradedSince === undefined && asynchronous) {
      if (unrenewedMs >= world.config.timings.leaseMs * LEASE_SLACK) return null;
      return `${after.member} claims ${Math.round(unrenewedMs)} ms after the last renewal of a lease of ${world.config.timings.leaseMs} ms`;
    }
    return `${after.member} claims with ${inSet} of ANY ${before.k} (${before.sync.join(', ')}) and without ${before.member}`;
  }
}
