import type { Roles } from '#domain/ports/roles.ts';
import type { Pool } from './pool.ts';

const EVERY_MS = 3000;
/** Of a sweep. */
const MOST_ASKED = 10;

/** Looks up now and then what has become of the roles whose sessions are open. */
export class RoleWatch {
  readonly #roles: Roles;
  #asking = 0;

  constructor(roles: Roles) {
    this.#roles = roles;
  }

  /** A few pools each time, those first that were looked up longest ago. */
  sweep(pools: Iterable<Pool>, now: number): void {
    const due = [...pools].filter((pool) => now - pool.factsAt > EVERY_MS && pool.sessions.size + pool.servers.size > 0);
    due.sort((a, b) => a.factsAt - b.factsAt);
    for (const pool of due.slice(0, MOST_ASKED - this.#asking)) {
      pool.factsAt = now;
      this.#asking += 1;
      void this.#look(pool).finally(() => {
        this.#asking -= 1;
      });
    }
  }

  async #look(pool: Pool): Promise<void> {
    const before = pool.facts;
    // When nobody answers, what was known stays in force.
    const facts = await this.#roles.lookup(pool.role, pool.database, { fresh: true }).catch(() => undefined);
    // A login may have learned more in the meantime.
    if (facts !== undefined && pool.facts === before) pool.update(facts);
  }
}
