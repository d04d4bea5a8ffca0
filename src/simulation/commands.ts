import type { Command } from '#core/ha/events.ts';
import type { VirtualMember } from './member.ts';
import type { World } from './world.ts';

/** What people ask for, and what they were answered. */
export class Commands {
  readonly #world: World;
  readonly #open = new Map<string, { readonly kind: Command['kind']; readonly member: VirtualMember }>();
  readonly answers = new Map<string, { readonly kind: Command['kind']; readonly ok: boolean; readonly text: string }>();
  #count = 0;

  constructor(world: World) {
    this.#world = world;
  }

  nextId(): string {
    return `command-${++this.#count}`;
  }

  give(member: VirtualMember, command: Command): void {
    const { agent } = member;
    if (agent === null) return;
    this.#world.note({ kind: 'fault', name: `a person asks: ${command.kind}`, member: member.name });
    this.#open.set(command.id, { kind: command.kind, member });
    this.#world.scheduler.after(1, agent.process, () => agent.feed({ kind: 'command', command }));
  }

  /** The command itself sees first whether the member answers. */
  forget(asked: VirtualMember, victim: VirtualMember): void {
    const { agent } = asked;
    if (agent === null) return;
    this.#world.note({ kind: 'fault', name: `a person asks ${asked.name}: forget`, member: victim.name });
    const answers = victim.agent?.process.runs === true && this.#world.network.joins(asked.node, victim.node);
    if (!answers) this.#world.scheduler.after(1, agent.process, () => agent.leaving.forget(victim));
  }

  answered(id: string, ok: boolean, text: string): void {
    const asked = this.#open.get(id);
    if (asked === undefined) return;
    this.#open.delete(id);
    this.answers.set(id, { kind: asked.kind, ok, text });
    this.#world.trace('person', `${asked.kind}: ${ok ? 'done' : 'refused'}: ${text}`);
  }

  /** The program ends after a shutdown; somebody starts it again later. */
  exited(member: VirtualMember): void {
    member.killAgent();
    this.#world.scheduler.after(this.#world.random.between(200, 3000), null, () => member.startAgent());
  }
}
