import type { Effect } from '#core/ha/effects.ts';
import { applyFault } from './fault-menu.ts';
import type { VirtualMember } from './member.ts';
import { FAULTS, type FaultKind } from './options.ts';
import { Random } from './random.ts';
import type { World } from './world.ts';

export type CrashPoint = (member: VirtualMember, effect: Effect, when: 'before' | 'after') => boolean;

/** When which fault happens, drawn from the seed, and how everything is healed in the end. */
export class Faults {
  readonly world: World;
  readonly random: Random;
  /** A scenario decides where an agent dies. */
  crashPoint: CrashPoint | null = null;
  active = false;
  readonly #undo = new Set<() => void>();

  constructor(world: World) {
    this.world = world;
    this.random = new Random(world.options.seed, 3);
  }

  begin(): void {
    this.active = true;
    this.world.beginFaults();
    if (this.world.options.faults.length > 0) this.#next();
  }

  #next(): void {
    const { scheduler, options } = this.world;
    const gapMs = -Math.log(1 - this.random.fraction()) * options.faultEveryMs;
    scheduler.after(gapMs, null, () => {
      if (!this.active) return;
      this.inject(this.random.pick(options.faults));
      this.#next();
    });
  }

  inject(kind: FaultKind): void {
    if (!FAULTS.includes(kind)) throw new RangeError(`no fault ${kind}`);
    applyFault(this, kind);
  }

  note(name: string, member: VirtualMember | null): void {
    this.world.note({ kind: 'fault', name, member: member?.name ?? null });
  }

  /** `undo` happens after a while, or when everything is healed. */
  for(ms: number, undo: () => void): void {
    const once = (): void => {
      if (this.#undo.delete(once)) undo();
    };
    this.#undo.add(once);
    this.world.scheduler.after(ms, null, once);
  }

  /** The faults end: everything that can come back does. */
  heal(): void {
    const { world } = this;
    this.active = false;
    this.crashPoint = null;
    for (const undo of [...this.#undo]) undo();
    world.network.heal();
    world.network.lossChance = 0;
    world.network.repeatChance = 0;
    world.network.stragglerChance = 0;
    world.store.available = true;
    if (world.config.paused) world.setConfig({ ...world.config, paused: false });
    for (const member of world.members) {
      member.volume.recover();
      member.resume();
      member.powerOn();
      member.startAgent();
      if (member.server !== null) {
        member.server.postmasterStopped = false;
        member.server.replayStalled = false;
        member.server.scheduleReplay();
      }
    }
    this.note('everything is healed', null);
  }

  /** May this agent die right here? Called around every effect. */
  crashesAt(member: VirtualMember, effect: Effect, when: 'before' | 'after'): boolean {
    if (this.crashPoint?.(member, effect, when) === true) {
      this.crash(member);
      return true;
    }
    const { crashAtEffectChance } = this.world.options;
    if (!this.active || crashAtEffectChance === 0) return false;
    if (!this.random.chance(crashAtEffectChance * weightOf(effect))) return false;
    this.note(`crash ${when} ${effect.kind === 'job' ? effect.job.kind : effect.kind}`, member);
    this.crash(member);
    return true;
  }

  crash(member: VirtualMember): void {
    const { random, world } = this;
    const how = random.fraction();
    if (how < 0.75) {
      member.killAgent();
      this.for(random.between(20, 2000), () => member.startAgent());
    } else if (how < 0.9) {
      member.powerOff();
      this.for(random.between(100, 6000), () => member.powerOn());
    } else {
      member.server?.end('crash');
      member.killAgent();
      this.for(random.between(20, 2000), () => member.startAgent());
    }
    world.trace(member.name, 'crashed at an effect');
  }
}

function weightOf(effect: Effect): number {
  switch (effect.kind) {
    case 'persist':
    case 'swap':
    case 'job':
    case 'identify':
    case 'appendHistory':
      return 1;
    case 'send':
      return effect.message.kind === 'heartbeat' || effect.message.kind === 'alive' ? 0.002 : 0.3;
    default:
      return 0.005;
  }
}
