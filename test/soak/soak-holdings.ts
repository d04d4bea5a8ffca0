import { setTimeout as sleep } from 'node:timers/promises';
import type { Intermediary } from '../support/intermediaries/intermediary.ts';

/** What a proxy holds for its clients at one moment, as its metrics have it. */
export interface Holdings {
  readonly clients: number;
  readonly servers: number;
  /** Sessions that are tied to a connection; one with two reasons counts twice. */
  readonly pinned: number;
  /** Prepared statements on all server connections together. */
  readonly prepared: number;
  /** Their texts. */
  readonly texts: number;
}

/** When it is looked at, in shares of the whole time. */
const LOOKS = { 'at the start': 0.1, 'in the middle': 0.5, 'at the end': 0.85 } as const;
const TIMEOUT_MS = 10_000;
const PATIENCE_MS = 20_000;
const POLL_MS = 50;

/** Looks at what a proxy holds while clients come and go. Errors of its methods: it holds more than it may. */
export class HoldingsWatch {
  readonly seen: Record<string, Holdings> = {};
  readonly #proxy: Intermediary;
  readonly #preparedPerServer: number;

  constructor(proxy: Intermediary, preparedPerServer: number) {
    this.#proxy = proxy;
    this.#preparedPerServer = preparedPerServer;
  }

  /** At the start, in the middle and at the end of so many seconds. */
  async during(seconds: number, signal: AbortSignal): Promise<void> {
    const began = performance.now();
    for (const [when, share] of Object.entries(LOOKS)) {
      const at = began + seconds * 1000 * share;
      await sleep(Math.max(0, at - performance.now()), undefined, { signal }).catch(() => {});
      if (!signal.aborted) await this.#look(when);
    }
  }

  /** Everybody has left: the proxy notices, and nothing of them stays. */
  async untilNothing(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const held = await this.#look('afterwards');
      if (held === undefined || held.clients + held.pinned === 0) return;
      if (performance.now() > deadline) throw new Error(`everybody has left, and the proxy holds ${describeHoldings(held)}`);
      await sleep(POLL_MS);
    }
  }

  async #look(when: string): Promise<Holdings | undefined> {
    const held = await readHoldings(this.#proxy);
    if (held === undefined) return undefined;
    this.seen[when] = held;
    if (held.prepared > held.servers * this.#preparedPerServer)
      throw new Error(`${when} the proxy holds more than it may: ${describeHoldings(held)}`);
    return held;
  }
}

/** Undefined for what has no metrics. */
async function readHoldings({ metricsUrl }: Intermediary): Promise<Holdings | undefined> {
  if (metricsUrl === undefined) return undefined;
  const response = await fetch(metricsUrl, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const lines = (await response.text()).split('\n');
  const sum = (name: string, having = '') =>
    lines
      .filter((line) => line.startsWith(`matriarch_proxy_${name}{`) && line.includes(having))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  return {
    clients: sum('clients'),
    servers: sum('servers', 'state="active"') + sum('servers', 'state="idle"'),
    pinned: sum('pinned'),
    prepared: sum('prepared_statements', 'state="held"'),
    texts: sum('prepared_statements', 'state="known"'),
  };
}

export function describeHoldings({ clients, servers, pinned, prepared, texts }: Holdings): string {
  return `${clients} clients, ${servers} server connections, ${pinned} pins, ${prepared} prepared statements of ${texts} texts`;
}
