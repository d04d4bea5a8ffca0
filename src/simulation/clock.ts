import type { Scheduler } from './scheduler.ts';

/** A member's monotonic clock: it starts anywhere, runs a little fast or slow, and may catch up late after a pause of its machine. */
export class Clock {
  #offsetMs: number;
  /** It never goes back for whoever has read it. */
  #shown = 0;
  readonly #rate: number;
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler, offsetMs: number, rate: number) {
    this.#scheduler = scheduler;
    this.#offsetMs = offsetMs;
    this.#rate = rate;
  }

  get now(): number {
    this.#shown = Math.max(this.#shown, this.#offsetMs + this.#scheduler.now * this.#rate);
    return this.#shown;
  }

  jump(ms: number): void {
    this.#offsetMs += ms;
  }

  /** How long until this clock shows `time`, in the world's milliseconds. */
  until(time: number): number {
    return Math.max(0, (time - this.now) / this.#rate);
  }
}
