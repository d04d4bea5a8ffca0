import { ReadCosts } from '#core/pool/read-costs.ts';
import { fits, mayJoin } from '#core/pool/sharing.ts';
import type { ClientSession } from './client-session.ts';
import { Convoy } from './convoy.ts';
import type { IdleServers } from './idle-servers.ts';
import type { Pool } from './pool.ts';
import type { ProxyWorld } from './proxy-world.ts';
import type { ServerConnection } from './server-connection.ts';

const MOST_SPARE = 32;
/** Where nobody is hedged. */
const LONGEST_MS = 20;

/** Where the reads of one pool's clients go: several of them on one connection. */
export class Convoys {
  readonly costs = new ReadCosts();
  readonly #pool: Pool;
  readonly #world: ProxyWorld;
  readonly #idle: IdleServers;
  readonly #running: Convoy[] = [];
  readonly #spare: Convoy[] = [];
  #timer: NodeJS.Timeout | null = null;
  /** Whose read was sent last. */
  #last: ClientSession | null = null;

  constructor(pool: Pool, world: ProxyWorld, idle: IdleServers) {
    this.#pool = pool;
    this.#world = world;
    this.#idle = idle;
  }

  get isOn(): boolean {
    return this.#world.config.limits.multiplexing;
  }

  /** Where the session may send a read of the shape; null: it takes a connection as for anything else. */
  place(session: ClientSession, expectedUs: number, now: number): Convoy | null {
    if (!this.#pool.canStart) return null;
    if (session.reads.offered !== null) {
      if (!fits(session.reads, session.reads.offered)) return null;
      const offered = session.reads.takeOffered();
      return offered === null ? null : this.#begin(offered, now);
    }
    const longestMs = this.#world.config.timeouts.hedgeMs || LONGEST_MS;
    const running = this.#running;
    for (let at = running.length - 1; at >= 0; at--) {
      const convoy = running[at] as Convoy;
      if (convoy.isGathering && mayJoin(session.reads, convoy, expectedUs, false, now, longestMs)) return convoy;
    }
    // Who waits in line comes first.
    const server = this.#pool.waiting.size === 0 ? this.#idle.take(session) : null;
    if (server !== null) {
      if (fits(session.reads, server)) return this.#begin(server, now);
      this.#idle.add(server);
      return null;
    }
    let best: Convoy | null = null;
    for (const convoy of running) {
      if (best !== null && convoy.expectedUs >= best.expectedUs) continue;
      if (mayJoin(session.reads, convoy, expectedUs, true, now, longestMs)) best = convoy;
    }
    return best;
  }

  #begin(server: ServerConnection, now: number): Convoy {
    const convoy = this.#spare.pop() ?? new Convoy(this);
    convoy.begin(server, now);
    this.#running.push(convoy);
    return convoy;
  }

  /**
   * A read of the session was put on it: it is sent with all others of this turn. Who has sent the last one as well is alone, and what
   * would be gathered is only his own: he does not wait for the end of the turn.
   */
  sends(convoy: Convoy, session: ClientSession): void {
    const isAlone = session === this.#last;
    this.#last = session;
    if (isAlone && convoy.depth === 1) convoy.flush();
    else if (!convoy.isGathering) {
      convoy.isGathering = true;
      flushSoon(convoy);
    }
    if (convoy.depth > 1) this.#watch();
  }

  /** As long as anybody stands behind somebody else. */
  #watch(): void {
    const { hedgeMs } = this.#world.config.timeouts;
    if (this.#timer !== null || hedgeMs === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const now = performance.now();
      for (const convoy of [...this.#running]) {
        convoy.hedge(now, hedgeMs);
        if (convoy.depth > 1) this.#watch();
      }
    }, hedgeMs / 2);
    this.#timer.unref();
  }

  cancel(server: ServerConnection): Promise<void> {
    return this.#world.cancel(server);
  }

  abandon(server: ServerConnection): void {
    this.#pool.abandon(server);
  }

  ended(convoy: Convoy, server: ServerConnection): void {
    this.lost(convoy);
    this.#pool.release(server);
  }

  /** Nothing of it is kept. */
  left(session: ClientSession): void {
    if (this.#last === session) this.#last = null;
  }

  lost(convoy: Convoy): void {
    const at = this.#running.indexOf(convoy);
    if (at < 0) return;
    const last = this.#running.pop() as Convoy;
    if (last !== convoy) this.#running[at] = last;
    if (this.#spare.length < MOST_SPARE) this.#spare.push(convoy);
  }
}

/** Of all pools: one immediate serves the turn. */
const due: Convoy[] = [];

function flushSoon(convoy: Convoy): void {
  if (due.push(convoy) === 1) setImmediate(flushDue);
}

function flushDue(): void {
  for (const convoy of due) convoy.flush();
  due.length = 0;
}
