import type { LeaderRecord } from '#domain/leader-record.ts';
import type { MemberName } from '#domain/member.ts';
import type { Happening } from '../journal.ts';
import type { VirtualMember } from '../member.ts';
import type { World } from '../world.ts';
import type { Checker, Complaint } from './checker.ts';

/** A tick, a look and a job until the agent has cut the clients; a tick until a new guard holds its deadline. World milliseconds. */
const AGENT_SLACK_MS = 1500;
const GUARD_SLACK_MS = 600;
const TWO_SLACK_MS = 150;

interface Evidence {
  /** Sending time of the newest heartbeat that each peer confirmed. */
  readonly confirmed: Map<MemberName, number>;
  /** When the newest read or write of the record was sent that showed this member as the leader. */
  shown: number;
  /** The same for writes alone. */
  renewed: number;
  /** The newest record that named this member. */
  record: LeaderRecord | null;
}

/** H6: without fresh proof a leader's clients are cut at the fence, by its agent, and its server is ended after the lease, by the guard. */
export class FencedInTime implements Checker {
  readonly invariant = 'H6';
  readonly #evidence = new Map<MemberName, Evidence>();
  readonly #since = new Map<string, number>();
  /** Timelines that a forced failover claimed: a re-claim goes on with one, and names another cause. */
  readonly #forced = new Set<number>();

  happened(happening: Happening, _world: World): Complaint {
    switch (happening.kind) {
      case 'delivered': {
        const { message, to, from } = happening;
        if (message.kind === 'alive' && message.promised <= message.epoch && message.run === to.agent?.run) {
          const { confirmed } = this.#of(to);
          confirmed.set(from, Math.max(confirmed.get(from) ?? Number.NEGATIVE_INFINITY, message.sentAt));
        }
        return null;
      }
      case 'recorded': {
        if (happening.after.cause === 'forced') this.#forced.add(happening.after.timeline);
        const evidence = this.#of(happening.by);
        evidence.record = happening.after;
        evidence.shown = Math.max(evidence.shown, happening.sentAt);
        evidence.renewed = Math.max(evidence.renewed, happening.sentAt);
        return null;
      }
      case 'step':
        this.#stepped(happening);
        return null;
      default:
        return null;
    }
  }

  #of(member: VirtualMember): Evidence {
    const known = this.#evidence.get(member.name);
    if (known !== undefined) return known;
    const made: Evidence = {
      confirmed: new Map(),
      shown: Number.NEGATIVE_INFINITY,
      renewed: Number.NEGATIVE_INFINITY,
      record: null,
    };
    this.#evidence.set(member.name, made);
    return made;
  }

  #stepped({ member, event }: Extract<Happening, { kind: 'step' }>): void {
    if (event.kind === 'record' && event.askedAt !== undefined && event.record?.member === member.name) {
      const evidence = this.#of(member);
      evidence.shown = Math.max(evidence.shown, event.askedAt);
      evidence.record ??= event.record;
    }
  }

  moment(world: World): Complaint {
    let admitting = 0;
    for (const member of world.members) {
      const { server } = member;
      const admits = server?.isWritable === true && server.gateOpen;
      const { fenceMs, leaseMs } = world.config.timings;
      // A guard that has just been started knows no deadline until its agent, which may be as new, has found out what is proven.
      const guardAgeMs = world.scheduler.now - (member.guard?.startedAt ?? 0);
      const guardKnows = member.guard?.process.runs === true && guardAgeMs > Math.max(fenceMs, leaseMs / 3) + GUARD_SLACK_MS;
      // Agent and guard dead at once: nobody is left who could end it, until a new agent has had the time to look and to act.
      const agentAgeMs = world.scheduler.now - (member.agent?.startedAt ?? 0);
      const agentActs = member.agent?.process.runs === true && agentAgeMs > AGENT_SLACK_MS;
      if (admits && (agentActs || guardKnows) && !server.postmasterStopped) admitting++;
      const unproven = admits ? this.#unprovenMs(world, member) : 0;
      const agentIn =
        member.agent?.process.runs === true && !member.volume.hung && unproven > fenceMs && !server?.postmasterStopped;
      if (this.#lasts(world, `agent ${member.name}`, agentIn) > AGENT_SLACK_MS)
        return `${member.name} has admitted clients for ${Math.round(unproven)} ms without proof; the fence is ${fenceMs} ms`;
      const guarded = guardKnows && !member.suspended;
      const guardIn = guarded && unproven > leaseMs;
      if (this.#lasts(world, `guard ${member.name}`, guardIn) > GUARD_SLACK_MS)
        return `${member.name}'s server runs for ${Math.round(unproven)} ms without proof; the lease is ${leaseMs} ms`;
    }
    const record = world.store.leader.value;
    // A person who forces a failover takes it upon himself that the old leader may still serve for a lease.
    const byLease = record?.k === 0 && !this.#forced.has(record.timeline) && world.config.durability === 'async';
    if (this.#lasts(world, 'two', byLease && admitting > 1) > TWO_SLACK_MS)
      return 'two members admit clients in asynchronous mode';
    return null;
  }

  #lasts(world: World, key: string, holds: boolean): number {
    if (!holds) {
      this.#since.delete(key);
      return 0;
    }
    const since = this.#since.get(key) ?? world.scheduler.now;
    this.#since.set(key, since);
    return world.scheduler.now - since;
  }

  #unprovenMs(world: World, member: VirtualMember): number {
    const evidence = this.#of(member);
    const { record } = evidence;
    if (record === null) return 0;
    const { now } = member.clock;
    const confirmed = [...evidence.confirmed.values()].sort((a, b) => b - a);
    if (record.k > 0) return now - Math.max(confirmed[record.k - 1] ?? Number.NEGATIVE_INFINITY, evidence.shown);
    const rivals = record.eligible.filter((name) => name !== member.name);
    if (rivals.length === 0) return 0;
    const all = Math.min(...rivals.map((name) => evidence.confirmed.get(name) ?? Number.NEGATIVE_INFINITY));
    // Up to the lease after a renewal nothing is missing at all.
    const unrenewed = now - evidence.renewed;
    return Math.min(unrenewed < world.config.timings.leaseMs ? 0 : unrenewed, now - all);
  }
}
