import { performance } from 'node:perf_hooks';
import { fail } from '#domain/errors.ts';
import type { RoleFacts, Roles } from '#domain/ports/roles.ts';
import { ROLE_FACTS, type RoleRow, roleFacts } from '../postgres/role-facts.ts';
import type { PlainServer } from './plain-server.ts';

interface Remembered {
  readonly facts: RoleFacts | null;
  readonly atMs: number;
}

/** What is younger is not asked for again, so that ten thousand clients that come at once are one question. */
const FRESH_MS = 1000;
/** Pairs of role and database. What clients ask for must not fill the memory; the one asked for longest ago goes. */
const MAX_REMEMBERED = 10_000;
const INSUFFICIENT_PRIVILEGE = '42501';

export interface PlainRolesOptions {
  /** In the order in which to ask them. */
  readonly servers: () => readonly PlainServer[];
}

/** Who may log in at servers without agents: what the servers say of it themselves. */
export class PlainRoles implements Roles {
  readonly #options: PlainRolesOptions;
  readonly #remembered = new Map<string, Remembered>();
  readonly #asking = new Map<string, Promise<RoleFacts | null>>();

  constructor(options: PlainRolesOptions) {
    this.#options = options;
  }

  /** Errors: `proxy.rolesUnknown`, `proxy.rolesUnreadable`. */
  async lookup(role: string, database: string, options: { readonly fresh: boolean }): Promise<RoleFacts | null> {
    const key = JSON.stringify([role, database]);
    const remembered = this.#remembered.get(key);
    if (!options.fresh && remembered !== undefined && performance.now() - remembered.atMs < FRESH_MS) return remembered.facts;
    try {
      return await this.#askOnce(key, role, database);
    } catch (error) {
      if (remembered !== undefined && !options.fresh) return remembered.facts;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#remembered.clear();
  }

  #askOnce(key: string, role: string, database: string): Promise<RoleFacts | null> {
    const running = this.#asking.get(key);
    if (running !== undefined) return running;
    const asking = this.#ask(role, database)
      .then((facts) => {
        this.#remember(key, facts);
        return facts;
      })
      .finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  #remember(key: string, facts: RoleFacts | null): void {
    this.#remembered.delete(key);
    this.#remembered.set(key, { facts, atMs: performance.now() });
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
  }

  async #ask(role: string, database: string): Promise<RoleFacts | null> {
    // PostgreSQL refuses such texts as malformed, whatever the question; no role is called so.
    if (role.includes('\0') || database.includes('\0')) return null;
    let cause: unknown;
    for (const server of this.#options.servers()) {
      try {
        const [row] = await server.query<RoleRow & Record<string, unknown>>(ROLE_FACTS, [role, database]);
        return row === undefined ? null : roleFacts(row, false);
      } catch (error) {
        const { code, message } = error as { readonly code?: string; readonly message: string };
        if (code === INSUFFICIENT_PRIVILEGE) fail('proxy.rolesUnreadable', `${server.address.name}: ${message}`, error);
        cause = error;
      }
    }
    return fail('proxy.rolesUnknown', `role ${role}: ${cause instanceof Error ? cause.message : 'no server answers'}`, cause);
  }
}
