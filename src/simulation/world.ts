import type { HaConfig } from '#core/ha/config.ts';
import type { Because, Effect } from '#core/ha/effects.ts';
import type { HaEvent } from '#core/ha/events.ts';
import type { Message } from '#core/ha/messages.ts';
import type { MemberName } from '#domain/member.ts';
import { Client } from './client.ts';
import { Clock } from './clock.ts';
import { Commands } from './commands.ts';
import { Faults } from './faults.ts';
import type { Happening } from './journal.ts';
import { VirtualMember } from './member.ts';
import { Network } from './network.ts';
import type { WorldOptions } from './options.ts';
import { prepareDisks } from './prepare-disks.ts';
import { Random } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { VirtualStore } from './store.ts';
import type { Trace } from './trace.ts';
import type { Row } from './wal.ts';

/** Members, disks, clocks, a network, a store and clients, all moved by one scheduler and one seed. */
export class World {
  readonly options: WorldOptions;
  readonly scheduler = new Scheduler();
  readonly random: Random;
  readonly network: Network;
  readonly store: VirtualStore;
  readonly members: readonly VirtualMember[];
  readonly storeNode: number;
  readonly clientNode: number;
  readonly faults: Faults;
  readonly commands: Commands;
  readonly rows: Row[] = [];
  config: HaConfig;
  /** A scenario keeps somebody's compare-and-sets on their way for so long. */
  swapDelayMs: (by: VirtualMember) => number = () => 0;
  /** What has happened since the checkers last looked. */
  happenings: Happening[] = [];
  readonly #trace: Trace;
  readonly #byName: ReadonlyMap<MemberName, VirtualMember>;

  constructor(options: WorldOptions, trace: Trace) {
    this.options = options;
    this.config = options.config;
    this.random = new Random(options.seed, 2);
    this.#trace = trace;
    this.network = new Network(this.scheduler, this.random);
    this.network.latencyMs = options.latencyMs;
    this.store = new VirtualStore(this.scheduler);
    this.members = options.tags.map((tags, index) => {
      const rate = 1 + (options.driftPerMillion * this.random.between(-1, 1)) / 1e6;
      return new VirtualMember(this, `n${index + 1}`, index, new Clock(this.scheduler, this.random.between(0, 1e6), rate), tags);
    });
    this.#byName = new Map(this.members.map((member) => [member.name, member]));
    this.storeNode = options.members;
    this.clientNode = options.members + 1;
    this.faults = new Faults(this);
    this.commands = new Commands(this);
    if (!options.fromNothing) prepareDisks(this);
    for (const member of this.members) this.scheduler.after(this.random.between(0, 500), null, () => member.powerOn());
    for (let index = 0; index < options.clients; index++) new Client(this);
  }

  /** Messages get lost and repeated only while there are faults. */
  beginFaults(): void {
    this.network.lossChance = this.options.lossChance;
    this.network.repeatChance = this.options.repeatChance;
    this.network.stragglerChance = this.options.stragglerChance;
  }

  member(name: MemberName): VirtualMember {
    const member = this.#byName.get(name);
    if (member === undefined) throw new Error(`no member ${name}`);
    return member;
  }

  memberAt(host: string, port: number): VirtualMember | undefined {
    return this.members.find((member) => member.host === host && member.port === port);
  }

  /** The member that the record names, if any. */
  get leader(): VirtualMember | null {
    const record = this.store.leader.value;
    return record === null ? null : this.member(record.member);
  }

  newRow(): Row {
    const row: Row = { id: this.rows.length + 1, acknowledged: false, seen: false, excused: false, record: null };
    this.rows.push(row);
    return row;
  }

  deliver(from: VirtualMember, to: MemberName, message: Message): void {
    const target = this.#byName.get(to);
    if (target === undefined) return;
    this.note({ kind: 'sent', from, to, message });
    this.network.send(
      from.node,
      target.node,
      () => target.agent?.process ?? null,
      () => target.agent?.received(from.name, message),
    );
  }

  setConfig(config: HaConfig): void {
    this.config = config;
    for (const member of this.members) this.#configure(member);
  }

  #configure(member: VirtualMember): void {
    const { agent } = member;
    if (agent === null) return;
    this.scheduler.after(this.random.between(1, 100), agent.process, () => {
      if (this.store.available && this.network.joins(member.node, this.storeNode)) agent.configure();
      else this.scheduler.after(200, agent.process, () => this.#configure(member));
    });
  }

  note(happening: Happening): void {
    this.happenings.push(happening);
    this.#trace.happened(this.scheduler.now, happening);
  }

  trace(who: string, text: string): void {
    this.#trace.line(this.scheduler.now, who, text);
  }

  stepped(member: VirtualMember, event: HaEvent, effects: readonly Effect[], because: readonly Because[]): void {
    this.#trace.stepped(this.scheduler.now, member.name, event, effects, because);
    this.happenings.push({ kind: 'step', member, event, effects });
  }
}
