import { whyNotForgettable } from '#core/ha/forgettable.ts';
import type { MemberName, MemberRecord } from '#domain/member.ts';
import type { VirtualAgent } from './agent.ts';
import type { VirtualMember } from './member.ts';
import type { StoreClient } from './store-client.ts';

const RETRY_MS = 1000;

/** What one agent knows of who is there and who has left, as its two watches of the store tell it, each at its own time. */
export class Leaving {
  readonly #agent: VirtualAgent;
  readonly #store: StoreClient;
  #members: readonly MemberRecord[] = [];
  #left: readonly MemberName[] = [];
  #gone: readonly MemberName[] = [];
  /** Their addresses went with them, until they publish them again. */
  readonly #unknown = new Set<MemberName>();

  constructor(agent: VirtualAgent, store: StoreClient) {
    this.#agent = agent;
    this.#store = store;
  }

  seeMembers(members: readonly MemberRecord[]): void {
    this.#members = members;
    this.#tell();
  }

  seeLeft(left: readonly MemberName[]): void {
    const before = this.#left;
    this.#left = left;
    const { name } = this.#agent.member;
    // Again, too: between two looks it may have been taken back and said anew.
    if (left.includes(name)) this.#unforget();
    if (left.length > 0 || before.length > 0) this.#tell();
  }

  /** An agent dials nobody who has left. */
  dials(name: MemberName): boolean {
    return !this.#unknown.has(name);
  }

  /** Whoever has a record is there, whatever was once said of it. That nobody is gone, still, need not be told. */
  #tell(): void {
    const told = this.#gone.length > 0;
    this.#gone = this.#left.filter((name) => !this.#members.some((member) => member.name === name));
    for (const name of this.#gone) this.#unknown.add(name);
    for (const { name } of this.#members) this.#unknown.delete(name);
    this.#agent.feed({ kind: 'members', members: this.#members });
    if (told || this.#gone.length > 0) this.#agent.feed({ kind: 'left', names: this.#gone });
  }

  #unforget(): void {
    const { world, name } = this.#agent.member;
    this.#store.request(
      () => {
        world.note({ kind: 'fault', name: 'a forgotten member is back', member: name });
        world.store.unforget(name);
      },
      () => undefined,
      () => this.#agent.after(RETRY_MS, () => this.#unforget()),
    );
  }

  /** A person asks this agent, as `matriarch forget` does: refused for one that leads, or speaks while it is listened for. */
  forget(victim: VirtualMember): void {
    const agent = this.#agent;
    const { name } = victim;
    if (whyNotForgettable(agent.state, name) !== null) return;
    const heardAt = agent.state.peers[name]?.heardAt;
    const decide = (): void => {
      if (agent.state.peers[name]?.heardAt === heardAt) this.#say(victim);
    };
    if (heardAt === undefined) decide();
    else agent.after(agent.state.config.timings.suspectAfterMs, decide);
  }

  /** Two writes; the person whose first one was not answered does not come to the second. */
  #say(victim: VirtualMember): void {
    const { world } = this.#agent.member;
    const say = (): void => {
      const runs = victim.agent?.process.runs === true;
      world.note({ kind: 'fault', name: runs ? 'a running member is forgotten' : 'a member is forgotten', member: victim.name });
      world.store.forget(victim.name);
    };
    const unpublish = (): void =>
      this.#store.request(
        () => {
          world.store.unpublish(victim.name);
          if (world.options.sabotage.forgetStrikesOut) this.#strikeOut(victim.name);
        },
        () => undefined,
        () => undefined,
      );
    this.#store.request(say, unpublish, () => undefined);
  }

  #strikeOut(name: MemberName): void {
    const { member, run } = this.#agent;
    const { world } = member;
    const { value: before, version } = world.store.leader;
    if (before === null) return;
    const sync = before.sync.filter((incarnation) => !incarnation.startsWith(`${name}_`));
    const after = { ...before, sync, k: Math.min(before.k, sync.length) };
    world.store.swap(version, after);
    world.note({ kind: 'recorded', by: member, before, after, sentAt: member.clock.now, run });
  }
}
