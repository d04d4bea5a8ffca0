import type { VirtualMember } from './member.ts';
import { Process } from './process.ts';

/** The tiny process that ends the server when its deadline passes, whatever has become of the agent. */
export class VirtualGuard {
  readonly process: Process;
  readonly startedAt: number;
  readonly #member: VirtualMember;
  #deadline: number | null = null;

  constructor(member: VirtualMember) {
    this.#member = member;
    this.startedAt = member.world.scheduler.now;
    this.process = new Process(`${member.name}'s guard`);
  }

  get deadline(): number | null {
    return this.#deadline;
  }

  /** By the member's clock. */
  hold(deadline: number | null): void {
    this.#deadline = deadline === null ? null : Math.max(this.#deadline ?? Number.NEGATIVE_INFINITY, deadline);
    this.check();
  }

  check(): void {
    const deadline = this.#deadline;
    if (deadline === null || !this.process.alive) return;
    const leftMs = this.#member.clock.until(deadline);
    if (leftMs > 0) {
      // Rounded up, so that the timer never fires a moment too early and then not again.
      this.#member.world.scheduler.after(leftMs + 0.01, this.process, () => {
        if (this.#deadline === deadline) this.check();
      });
      return;
    }
    this.#deadline = null;
    const { server, world } = this.#member;
    if (server === null || world.options.sabotage.guardSleeps) return;
    this.#member.log('the guard ends the server');
    world.note({ kind: 'guardKilled', member: this.#member });
    server.end('crash');
  }
}
