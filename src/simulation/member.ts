import type { Incarnation, MemberName, Tags } from '#domain/member.ts';
import { VirtualAgent } from './agent.ts';
import type { Clock } from './clock.ts';
import { VirtualGuard } from './guard.ts';
import type { Node } from './network.ts';
import type { VirtualServer } from './postgres/server.ts';
import { Volume } from './volume.ts';
import type { World } from './world.ts';

const GUARD_RESTART_MS = 300;

/** A machine: its disk and its clock, and on it an agent, a guard and a server, each of which can die or stop alone. */
export class VirtualMember {
  readonly world: World;
  readonly name: MemberName;
  readonly node: Node;
  readonly clock: Clock;
  tags: Tags;
  volume: Volume;
  server: VirtualServer | null = null;
  agent: VirtualAgent | null = null;
  guard: VirtualGuard | null = null;
  powered = false;
  /** The whole machine stands still. */
  suspended = false;
  starts = 0;

  constructor(world: World, name: MemberName, node: Node, clock: Clock, tags: Tags) {
    this.world = world;
    this.name = name;
    this.node = node;
    this.clock = clock;
    this.tags = tags;
    this.volume = this.emptyVolume();
  }

  get host(): string {
    return `host-${this.name}`;
  }

  get port(): number {
    return 5432 + this.node;
  }

  get incarnation(): Incarnation {
    return this.volume.promise.incarnation;
  }

  /** A fresh disk: the program makes up an incarnation before anything else. */
  emptyVolume(): Volume {
    const { scheduler, random } = this.world;
    const incarnation = `${this.name}_${random.below(0xffffffff).toString(16).padStart(8, '0')}`;
    return new Volume(scheduler, random, { promise: 0, incarnation });
  }

  log(text: string): void {
    this.world.trace(this.name, text);
  }

  powerOn(): void {
    if (this.powered) return;
    this.powered = true;
    this.startAgent();
  }

  /** Everything on the machine ends at once, and nobody is told. */
  powerOff(): void {
    if (!this.powered) return;
    this.powered = false;
    this.suspended = false;
    this.killAgent();
    this.guard?.process.kill();
    this.guard = null;
    this.server?.end('power');
    const { promise, syncedPromise } = this.volume;
    if (promise === syncedPromise) return;
    this.volume.promise = syncedPromise;
    this.world.note({ kind: 'promised', member: this, before: promise, after: syncedPromise });
  }

  startAgent(): void {
    if (!this.powered || this.suspended || this.agent !== null) return;
    this.starts++;
    this.agent = new VirtualAgent(this, `${this.name}-${this.starts}`);
    if (this.guard === null) this.startGuard();
    this.agent.start();
  }

  killAgent(): void {
    this.agent?.process.kill();
    this.agent = null;
  }

  startGuard(): void {
    if (!this.powered || this.guard !== null) return;
    this.guard = new VirtualGuard(this);
    this.agent?.guardChanged(true);
  }

  /** The program, if it runs, starts another one soon. */
  killGuard(): void {
    if (this.guard === null) return;
    this.guard.process.kill();
    this.guard = null;
    if (this.agent === null) return;
    this.agent.guardChanged(false);
    this.world.scheduler.after(GUARD_RESTART_MS, this.agent.process, () => this.startGuard());
  }

  pause(): void {
    this.suspended = true;
    for (const process of [this.agent?.process, this.guard?.process, this.server?.process])
      if (process != null) process.paused = true;
  }

  resume(): void {
    const { scheduler } = this.world;
    this.suspended = false;
    for (const process of [this.guard?.process, this.server?.process, this.agent?.process])
      if (process?.paused === true) scheduler.resume(process);
    this.startAgent();
  }

  jumpClock(ms: number): void {
    this.clock.jump(ms);
    if (this.guard?.process.runs === true) this.guard.check();
  }

  serverEnded(server: VirtualServer): void {
    if (this.server === server) this.server = null;
    this.log('its server ended');
    this.agent?.serverEnded();
  }
}
