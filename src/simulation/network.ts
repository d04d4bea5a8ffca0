import type { Process } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** A place that the network joins: a member's machine, the store, the clients. */
export type Node = number;

/** Delays, losses, repetitions and partitions between places. */
export class Network {
  lossChance = 0;
  repeatChance = 0;
  latencyMs = 0.4;
  /** Rarely a message takes much longer, so that messages overtake each other. */
  stragglerChance = 0.001;
  readonly #blocked: Set<number> = new Set();
  readonly #scheduler: Scheduler;
  readonly #random: Random;

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  block(from: Node, to: Node): void {
    this.#blocked.add(from * 64 + to);
  }

  unblock(from: Node, to: Node): void {
    this.#blocked.delete(from * 64 + to);
  }

  heal(): void {
    this.#blocked.clear();
  }

  passes(from: Node, to: Node): boolean {
    return from === to || this.#blocked.size === 0 || !this.#blocked.has(from * 64 + to);
  }

  joins(a: Node, b: Node): boolean {
    return this.passes(a, b) && this.passes(b, a);
  }

  delayMs(): number {
    const stretch = this.#random.chance(this.stragglerChance) ? this.#random.between(20, 400) : 1;
    return this.latencyMs * stretch * (0.5 + this.#random.fraction());
  }

  /** A datagram: lost, repeated or late. `to` is looked up when it arrives: whoever runs there then receives it. */
  send(from: Node, to: Node, receiver: () => Process | null, deliver: () => void): void {
    if (!this.passes(from, to) || this.#random.chance(this.lossChance)) return;
    const copies = this.#random.chance(this.repeatChance) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      this.#scheduler.after(this.delayMs() + (copy === 0 ? 0 : this.#random.between(1, 800)), null, () => {
        const process = receiver();
        if (process?.alive !== true) return;
        if (process.paused) process.deferred.push(deliver);
        else deliver();
      });
    }
  }
}
