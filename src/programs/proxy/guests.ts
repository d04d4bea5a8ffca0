import type { Refusal } from './refusals.ts';
import type { Reported } from './reported.ts';

/** A client that has logged in and waits for what its first server reports. */
interface Guest {
  readonly signature: string;
  readonly resolve: (reported: Reported) => void;
  readonly reject: (why: Refusal) => void;
  readonly since: number;
}

/** Those who cannot be greeted before a server connection with their startup parameters was opened. */
export class Guests {
  #waiting: Guest[] = [];

  get size(): number {
    return this.#waiting.length;
  }

  /** Whose turn it is. */
  get first(): { readonly signature: string } | undefined {
    return this.#waiting[0];
  }

  /** Rejects with a `Refusal`. */
  wait(signature: string): Promise<Reported> {
    const { promise, resolve, reject } = Promise.withResolvers<Reported>();
    this.#waiting.push({ signature, resolve, reject, since: performance.now() });
    return promise;
  }

  greet(signature: string, reported: Reported): void {
    this.#leave((guest) => guest.signature === signature).forEach((guest) => guest.resolve(reported));
  }

  refuse(why: Refusal): void {
    this.#leave(() => true).forEach((guest) => guest.reject(why));
  }

  refuseOlderThan(since: number, why: () => Refusal): void {
    this.#leave((guest) => guest.since < since).forEach((guest) => guest.reject(why()));
  }

  #leave(which: (guest: Guest) => boolean): Guest[] {
    const leaving = this.#waiting.filter(which);
    if (leaving.length > 0) this.#waiting = this.#waiting.filter((guest) => !which(guest));
    return leaving;
  }
}
