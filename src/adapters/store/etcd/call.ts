import type { EtcdAnswer } from './answers.ts';
import type { Endpoint } from './endpoint.ts';
import type { EndpointOrder } from './endpoint-order.ts';
import { EtcdFailure } from './failures.ts';
import type { EtcdRequest } from './requests.ts';

/** After this long without an answer the next endpoint is asked, too; and a connection that long in the making is given up. */
const IMPATIENT_AFTER_MS = 250;
/** Between two rounds through all endpoints, doubling: an election may be under way. */
const ROUND_PAUSE_MS = { first: 25, longest: 200 } as const;

export interface CallOptions {
  /** By performance.now(). */
  readonly deadline: number;
  readonly signal: AbortSignal;
  /** Throws EtcdFailure for an answer that is not to be taken. */
  readonly check: (answer: EtcdAnswer) => void;
}

interface Attempt {
  readonly controller: AbortController;
  readonly startedAt: number;
  sent: boolean;
}

/**
 * One request to as many endpoints as it takes. What is repeatable goes to the next one as soon as one fails, and beside one that
 * says nothing. What is not goes to the next only when it certainly had no effect. Rejects with EtcdFailure by the deadline.
 */
export class Call {
  readonly #order: EndpointOrder;
  readonly #request: EtcdRequest;
  readonly #deadline: number;
  readonly #signal: AbortSignal;
  readonly #check: (answer: EtcdAnswer) => void;
  readonly #result = Promise.withResolvers<EtcdAnswer>();
  readonly #running = new Map<Endpoint, Attempt>();
  readonly #tried = new Set<Endpoint>();
  readonly #failures = new Map<Endpoint, EtcdFailure>();
  readonly #startedAt = performance.now();
  #rounds = 0;
  #settled = false;
  #impatience: NodeJS.Timeout | undefined;
  #pause: NodeJS.Timeout | undefined;

  constructor(order: EndpointOrder, request: EtcdRequest, { deadline, signal, check }: CallOptions) {
    this.#order = order;
    this.#request = request;
    this.#deadline = deadline;
    this.#signal = signal;
    this.#check = check;
  }

  async run(): Promise<EtcdAnswer> {
    this.#signal.throwIfAborted();
    // After a pause of this whole process the timer fires before the answer that has long been there is read: look once more.
    const late = () => setImmediate(() => setImmediate(() => this.#giveUp()));
    const timer = setTimeout(late, Math.max(0, this.#deadline - performance.now()));
    const onAbort = () => this.#settle(() => this.#result.reject(this.#signal.reason));
    this.#signal.addEventListener('abort', onAbort, { once: true });
    try {
      this.#next();
      return await this.#result.promise;
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener('abort', onAbort);
    }
  }

  #next(): void {
    if (this.#settled) return;
    const endpoint = this.#untried()[0];
    if (endpoint !== undefined) return this.#start(endpoint);
    // Beside one that says nothing the others are asked again; a write that may be under way is not.
    const isSilent = this.#running.size === this.#order.all.length || (this.#running.size > 0 && !this.#request.repeatable);
    if (isSilent || this.#pause !== undefined) return;
    this.#rounds += 1;
    this.#pause = setTimeout(
      () => {
        this.#pause = undefined;
        this.#tried.clear();
        this.#next();
      },
      Math.min(ROUND_PAUSE_MS.longest, ROUND_PAUSE_MS.first * 2 ** Math.min(this.#rounds, 10)),
    );
  }

  #untried(): Endpoint[] {
    return this.#order.inOrder().filter((endpoint) => !this.#tried.has(endpoint) && !this.#running.has(endpoint));
  }

  #start(endpoint: Endpoint): void {
    const attempt: Attempt = { controller: new AbortController(), startedAt: performance.now(), sent: false };
    this.#tried.add(endpoint);
    this.#running.set(endpoint, attempt);
    clearTimeout(this.#impatience);
    this.#impatience = setTimeout(() => this.#grow(), IMPATIENT_AFTER_MS);
    const onSent = () => {
      attempt.sent = true;
    };
    endpoint
      .send(this.#request, { signal: attempt.controller.signal, onSent })
      .then((answer) => {
        this.#check(answer);
        this.#answered(endpoint, answer);
      })
      .catch((error) => this.#failed(endpoint, error));
  }

  /** Nobody has answered for a while. */
  #grow(): void {
    if (this.#settled || this.#untried().length === 0) return;
    if (this.#request.repeatable) return this.#next();
    for (const [endpoint, attempt] of this.#running) {
      if (attempt.sent) continue;
      attempt.controller.abort();
      this.#failed(endpoint, new EtcdFailure('store.unavailable', 'no connection in time', { harmless: true }));
    }
  }

  #answered(endpoint: Endpoint, answer: EtcdAnswer): void {
    const attempt = this.#running.get(endpoint);
    if (this.#settled || attempt === undefined) return;
    this.#running.delete(endpoint);
    // Asked before and still silent.
    for (const [other, { startedAt }] of this.#running) if (startedAt < attempt.startedAt) this.#order.failed(other);
    this.#order.worked(endpoint);
    this.#settle(() => this.#result.resolve(answer));
  }

  #failed(endpoint: Endpoint, error: unknown): void {
    if (this.#settled || !this.#running.delete(endpoint)) return;
    if (!(error instanceof EtcdFailure)) return this.#settle(() => this.#result.reject(error));
    const mayRepeat = error.harmless || this.#request.repeatable;
    this.#note(endpoint, error);
    const isDecisive = error.remedy === 'smaller' ? this.#request.shrinkable === true : error.remedy !== 'elsewhere';
    if (!isDecisive) this.#order.failed(endpoint);
    if (isDecisive || !mayRepeat) return this.#settle(() => this.#result.reject(this.#sumUp(error)));
    this.#next();
  }

  #giveUp(): void {
    if (this.#settled) return;
    const silent = `no answer within ${Math.round(performance.now() - this.#startedAt)} ms`;
    for (const [endpoint, { sent, startedAt }] of this.#running) {
      this.#order.failed(endpoint, startedAt);
      // What it said in an earlier round tells more.
      if (!this.#failures.has(endpoint)) this.#note(endpoint, new EtcdFailure('store.unavailable', silent, { harmless: !sent }));
    }
    this.#settle(() => this.#result.reject(this.#sumUp()));
  }

  #note(endpoint: Endpoint, failure: EtcdFailure): void {
    // A certificate that is refused shows as a broken connection every other time: what says more stays.
    const known = this.#failures.get(endpoint)?.code ?? 'store.unavailable';
    if (known === 'store.unavailable' || failure.code !== 'store.unavailable') this.#failures.set(endpoint, failure);
  }

  /** With the code of `decisive`, or the one that all failures share; and with what every endpoint said. */
  #sumUp(decisive?: EtcdFailure): EtcdFailure {
    const failures = [...this.#failures];
    const codes = new Set(failures.map(([, { code }]) => code));
    const code = decisive?.remedy === 'none' || codes.size === 1 ? (decisive ?? failures[0]?.[1])?.code : undefined;
    const detail = failures.map(([endpoint, { message }]) => `${endpoint.name}: ${message}`).join('; ');
    const options = { remedy: decisive?.remedy ?? 'elsewhere', harmless: decisive?.harmless ?? false } as const;
    return new EtcdFailure(code ?? 'store.unavailable', detail, options);
  }

  #settle(act: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#impatience);
    clearTimeout(this.#pause);
    act();
    for (const { controller } of this.#running.values()) controller.abort();
    this.#running.clear();
  }
}
