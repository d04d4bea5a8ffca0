import type { Effect } from '#core/ha/effects.ts';
import type { HaEvent } from '#core/ha/events.ts';
import { createHa } from '#core/ha/ha.ts';
import type { Message } from '#core/ha/messages.ts';
import { type HaState, initialState } from '#core/ha/state.ts';
import type { SyncSetting } from '#domain/leader-record.ts';
import type { MemberName, MemberRecord } from '#domain/member.ts';
import { NOWHERE } from '#domain/position.ts';
import { watchByCanary } from './canary.ts';
import { JobRunner } from './job-runner.ts';
import { Leaving } from './leaving.ts';
import type { VirtualMember } from './member.ts';
import type { VirtualServer } from './postgres/server.ts';
import { positionOf, viewOf } from './postgres/view.ts';
import { Process } from './process.ts';
import type { StoreKey } from './store.ts';
import { StoreClient } from './store-client.ts';

const PUBLISH_AGAIN_MS = 1000;
const PORT_TIMEOUT_MS = 1000;

/** The program around the core: turns the world into events and carries effects out, in the order that the effects promise. */
export class VirtualAgent {
  readonly member: VirtualMember;
  readonly process: Process;
  readonly run: string;
  /** World milliseconds. */
  readonly startedAt: number;
  state: HaState;
  steps = 0;
  /** What the adapter saw in force in this life of the program. */
  inForce: { readonly server: VirtualServer; readonly setting: SyncSetting } | null = null;
  readonly #ha;
  readonly #store: StoreClient;
  readonly #jobs: JobRunner;
  readonly leaving: Leaving;
  #published: MemberRecord | null = null;
  readonly #unwatch: () => void;

  constructor(member: VirtualMember, run: string) {
    this.startedAt = member.world.scheduler.now;
    const { world, name, host, port, tags, node, clock, volume } = member;
    this.member = member;
    this.run = run;
    this.process = new Process(`${name}'s agent`);
    this.#ha = createHa(world.options.without);
    this.state = initialState({
      self: { name, host, port, tags, run, publishEveryMs: world.options.publishEveryMs },
      config: world.config,
      promise: volume.promise.promise,
      incarnation: volume.promise.incarnation,
      seed: world.random.below(0xffffffff),
      now: clock.now,
      wall: '',
    });
    this.#store = new StoreClient(world, node, this.process, (key) => this.#watched(key));
    this.#jobs = new JobRunner(this);
    this.leaving = new Leaving(this, this.#store);
    this.#unwatch = world.store.watch((key) => {
      if (this.process.alive) this.#store.changed(key);
      else this.#unwatch();
    });
  }

  start(): void {
    this.member.log(`the agent starts (promise ${this.state.promise}, ${this.state.incarnation})`);
    if (this.member.server !== null) this.#world.note({ kind: 'adopted', member: this.member });
    for (const key of ['identity', 'members', 'history', 'leader'] as const) this.#store.changed(key);
    if (this.#world.store.left.size > 0) this.#store.changed('left');
    if (this.member.guard !== null) this.feed({ kind: 'guard', alive: true, deadline: this.member.guard.deadline });
    this.#tick();
    watchByCanary(this);
  }

  get #world() {
    return this.member.world;
  }

  after(delayMs: number, run: () => void): void {
    this.#world.scheduler.after(delayMs, this.process, run);
  }

  #tick(): void {
    this.feed({ kind: 'tick', wall: '2026-01-01T00:00:00Z' });
    const { heartbeatMs } = this.#world.config.timings;
    this.after((heartbeatMs / 2) * this.#world.random.between(0.9, 1), () => this.#tick());
  }

  #watched(key: StoreKey): () => void {
    const { store } = this.#world;
    switch (key) {
      case 'leader': {
        const { value, version } = store.leader;
        return () => this.feed({ kind: 'record', record: value, version });
      }
      case 'members': {
        const members = store.members();
        return () => this.leaving.seeMembers(members);
      }
      case 'left': {
        const left = [...store.left];
        return () => this.leaving.seeLeft(left);
      }
      case 'history': {
        const entries = [...store.history];
        return () => this.feed({ kind: 'history', entries });
      }
      case 'identity': {
        const { value } = store.identity;
        return () => this.feed({ kind: 'identity', identity: value });
      }
    }
  }

  /** One event into the core, and what it asks for out into the world. */
  feed(event: HaEvent): void {
    if (!this.process.alive) return;
    this.steps++;
    const { state, effects, because } = this.#ha.step(this.state, event, this.member.clock.now);
    this.state = this.#world.options.frozen ? freeze(state) : state;
    this.#world.stepped(this.member, event, effects, because);
    this.#carryOut(effects, 0);
  }

  #carryOut(effects: readonly Effect[], from: number): void {
    for (let index = from; index < effects.length; index++) {
      const effect = effects[index];
      if (effect === undefined || !this.process.alive) return;
      if (this.#world.faults.crashesAt(this.member, effect, 'before')) return;
      if (effect.kind === 'persist') {
        this.#persist(effect, () => this.#carryOut(effects, index + 1));
        return;
      }
      this.#begin(effect);
      if (this.#world.faults.crashesAt(this.member, effect, 'after')) return;
    }
  }

  #begin(effect: Exclude<Effect, { kind: 'persist' }>): void {
    switch (effect.kind) {
      case 'send':
        if (this.leaving.dials(effect.to)) this.#world.deliver(this.member, effect.to, effect.message);
        return;
      case 'read':
        return this.#read();
      case 'swap':
        return this.#swap(effect);
      case 'identify':
        return this.#identify(effect);
      case 'appendHistory':
        return this.#append(effect);
      case 'observe':
        return this.#observe();
      case 'job':
        return this.#jobs.start(effect.id, effect.job);
      case 'guard':
        return this.#pushGuard(effect.deadline);
      case 'publish': {
        const { name, host, port, tags } = this.member;
        const { state, position, reason } = effect;
        const versions = { matriarch: '0', postgres: '15.18' };
        const incarnation = this.state.incarnation;
        this.#published = { name, incarnation, api: `${host}:8008`, host, port, tags, versions, state, position, reason };
        return this.#publish();
      }
      case 'reportDivergence':
        return this.#world.note({ kind: 'lostWal', member: this.member.name, from: effect.divergence.from });
      case 'answer':
        return this.#world.commands.answered(effect.id, effect.ok, effect.text);
      case 'exit':
        return this.#world.commands.exited(this.member);
    }
  }

  #persist(effect: Extract<Effect, { kind: 'persist' }>, then: () => void): void {
    const { member } = this;
    const { volume } = member;
    const { options, random } = this.#world;
    const fail = (why: string): void => {
      this.feed({ kind: 'persistFailed', why });
      then();
    };
    if (volume.full && random.chance(0.8)) return this.after(1, () => fail('No space left on device'));
    const written = (): void => {
      const before = volume.promise;
      volume.promise = { promise: effect.promise, incarnation: effect.incarnation };
      this.#world.note({ kind: 'promised', member, before, after: volume.promise });
    };
    const acknowledge = (): void => {
      if (this.#world.faults.crashesAt(this.member, effect, 'after')) return;
      this.feed({ kind: 'persisted', promise: effect.promise, incarnation: effect.incarnation });
      then();
    };
    if (options.sabotage.skipFsync) {
      written();
      this.after(0.05, acknowledge);
      return;
    }
    volume.sync(this.process, () => {
      written();
      volume.syncedPromise = volume.promise;
      this.after(volume.syncMs() / 4, acknowledge);
    });
  }

  #read(): void {
    const askedAt = this.member.clock.now;
    this.#store.request(
      () => this.#world.store.leader,
      ({ value, version }) => this.feed({ kind: 'record', record: value, version, askedAt }),
      () => this.feed({ kind: 'readFailed' }),
    );
  }

  #swap(effect: Extract<Effect, { kind: 'swap' }>): void {
    const { store, options } = this.#world;
    const { id, expected, record } = effect;
    const before = store.leader.value;
    const sentAt = this.member.clock.now;
    this.#store.request(
      () => {
        const stood = store.leader.value;
        const answer = store.swap(expected, record);
        if (answer.outcome === 'done')
          this.#world.note({ kind: 'recorded', by: this.member, before: stood, after: record, sentAt, run: this.run });
        else this.#world.note({ kind: 'casLost', by: this.member });
        return answer;
      },
      (answer) => this.feed({ kind: 'swapped', id, ...answer }),
      (happened) => {
        this.#world.note({ kind: 'casUnknown', by: this.member, happened });
        if (options.sabotage.unknownMeansNo)
          this.feed({ kind: 'swapped', id, outcome: 'conflict', record: before, version: expected ?? 0 });
        else this.feed({ kind: 'swapped', id, outcome: 'unknown' });
      },
      this.#world.swapDelayMs(this.member),
    );
  }

  #identify(effect: Extract<Effect, { kind: 'identify' }>): void {
    const { store } = this.#world;
    this.#store.request(
      () => store.identify(effect.expected, effect.identity),
      (identity) => this.feed({ kind: 'identity', identity }),
      () => this.#store.changed('identity'),
    );
  }

  #append(effect: Extract<Effect, { kind: 'appendHistory' }>): void {
    this.#store.request(
      () => this.#world.store.append(effect.entry),
      () => undefined,
      () => this.after(500, () => this.#append(effect)),
    );
  }

  #publish(): void {
    const record = this.#published;
    if (record === null) return;
    this.#store.request(
      () => this.#world.store.publish(record, 3 * this.#world.options.publishEveryMs),
      () => undefined,
      () =>
        this.after(PUBLISH_AGAIN_MS, () => {
          if (this.#published === record) this.#publish();
        }),
    );
  }

  #observe(): void {
    const { member } = this;
    const { random } = this.#world;
    this.after(random.between(0.2, 4), () => {
      const view = viewOf(member.server, member.volume.pgdata);
      this.after(view.state === 'stuck' ? PORT_TIMEOUT_MS : random.between(0.1, 3), () =>
        this.feed({ kind: 'observed', server: view }),
      );
    });
  }

  #pushGuard(deadline: number | null): void {
    const { guard } = this.member;
    if (guard === null) return;
    this.#world.scheduler.after(this.#world.random.between(0.05, 1), guard.process, () => guard.hold(deadline));
  }

  guardChanged(alive: boolean): void {
    this.after(1, () => this.feed({ kind: 'guard', alive, deadline: alive ? (this.member.guard?.deadline ?? null) : null }));
  }

  serverEnded(): void {
    this.after(this.#world.random.between(0.5, 15), () => this.feed({ kind: 'serverEnded' }));
  }

  received(from: MemberName, message: Message): void {
    this.#world.note({ kind: 'delivered', from, to: this.member, message });
    this.feed({ kind: 'received', from, message });
  }

  configure(): void {
    this.feed({ kind: 'configured', config: this.#world.config });
  }

  get position() {
    return this.member.volume.pgdata === null ? NOWHERE : positionOf(this.member.server, this.member.volume.pgdata);
  }
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part);
  return value;
}
