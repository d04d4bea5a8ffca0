import type { Endpoint } from './endpoint.ts';

/**
 * Which endpoint is asked first: the one that answered last; behind it those that never failed, in the order of the
 * configuration; then those whose failure is longest ago.
 */
export class EndpointOrder {
  readonly all: readonly Endpoint[];
  readonly #failures = new Map<Endpoint, number>();
  #preferred: Endpoint | undefined;
  #count = 0;

  constructor(endpoints: readonly Endpoint[]) {
    this.all = endpoints;
  }

  inOrder(): Endpoint[] {
    const rank = (endpoint: Endpoint) => (endpoint === this.#preferred ? -1 : (this.#failures.get(endpoint) ?? 0));
    return this.all.toSorted((a, b) => rank(a) - rank(b));
  }

  worked(endpoint: Endpoint): void {
    this.#preferred = endpoint;
    this.#failures.delete(endpoint);
  }

  /** It refused, or said nothing since that moment (performance.now()). */
  failed(endpoint: Endpoint, silentSince = performance.now()): void {
    if (this.#preferred === endpoint) this.#preferred = undefined;
    this.#count += 1;
    this.#failures.set(endpoint, this.#count);
    endpoint.lose(silentSince);
  }
}
