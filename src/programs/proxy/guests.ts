import type { Refusal } from './refusals.ts';
import type { Reported } from './reported.ts';

/** A client that has logged in and waits for what its first server reports. */
interface Guest {
  readonly signature: string;
  readonly resolve: (reported: Reported) => void;
  readonly reject: (why: Refusal) => void;
  readonly since: number;
}

/** A client may send anything at its startup: so many kinds are remembered. */
const MOST_SIGNATURES = 1000;

/** Clients between their login and their session: they are greeted with what a server reports to their startup parameters. */
export class Guests {
  #waiting: Guest[] = [];
  readonly #parameters = new Map<string, ReadonlyMap<string, string>>();
  readonly #greetings = new Map<string, Reported>();

  get size(): number {
    return this.#waiting.length;
  }

  /** Whose turn it is. */
  get first(): Pick<Guest, 'signature' | 'since'> | undefined {
    return this.#waiting[0];
  }

  /** Waits for the first connection of its kind. Rejects with a `Refusal`. */
  arrive(signature: string, parameters: ReadonlyMap<string, string>): Promise<Reported> {
    this.#parameters.delete(signature);
    this.#parameters.set(signature, parameters);
    if (this.#parameters.size > MOST_SIGNATURES) {
      const [oldest = ''] = this.#parameters.keys();
      this.#parameters.delete(oldest);
      this.#greetings.delete(oldest);
    }
    const known = this.#greetings.get(signature);
    if (known !== undefined) return Promise.resolve(known);
    const { promise, resolve, reject } = Promise.withResolvers<Reported>();
    this.#waiting.push({ signature, resolve, reject, since: performance.now() });
    return promise;
  }

  parametersOf(signature: string): ReadonlyMap<string, string> {
    return this.#parameters.get(signature) ?? new Map<string, string>();
  }

  /** Servers greet otherwise from now on. */
  forget(): void {
    this.#greetings.clear();
  }

  greet(signature: string, reported: Reported): void {
    this.#greetings.set(signature, reported);
    for (const guest of this.#leave((one) => one.signature === signature)) guest.resolve(reported);
  }

  refuse(signature: string, why: Refusal): void {
    for (const guest of this.#leave((one) => one.signature === signature)) guest.reject(why);
  }

  refuseOlderThan(since: number, why: () => Refusal): void {
    for (const guest of this.#leave((one) => one.since < since)) guest.reject(why());
  }

  #leave(which: (guest: Guest) => boolean): Guest[] {
    const leaving = this.#waiting.filter(which);
    if (leaving.length > 0) this.#waiting = this.#waiting.filter((guest) => !which(guest));
    return leaving;
  }
}
