import { fail } from '#domain/errors.ts';
import type { RoleFacts, Roles } from '#domain/ports/roles.ts';
import { BoundedMemory } from './bounded-memory.ts';

const ANSWER_TIMEOUT_MS = 1000;
/** Nobody waits for more agents than these, one after the other. */
const MAX_AGENTS = 3;
/** A question that was answered so lately is not asked again, unless a fresh answer is wanted. */
const FRESH_ENOUGH_MS = 1000;
const MAX_KNOWN = 10_000;
/** By themselves: names that somebody makes up do not drive out those that exist. */
const MAX_UNKNOWN = 1000;

/** Somebody who knows roles. Null: no such role. Rejects when there is no answer in time. */
export interface Askable {
  lookup(role: string, database: string, timeoutMs: number): Promise<RoleFacts | null>;
}

interface Remembered {
  readonly facts: RoleFacts | null;
  readonly at: number;
}

/** Asks the agents, or plain servers, who may log in, and remembers. */
export class RoleLookups {
  /** Those that can be asked, in the order in which they are. */
  readonly #links: () => readonly Askable[];
  readonly #known = new BoundedMemory<Remembered>(MAX_KNOWN);
  readonly #unknown = new BoundedMemory<Remembered>(MAX_UNKNOWN);
  readonly #asking = new Map<string, Promise<RoleFacts | null>>();

  constructor(links: () => readonly Askable[]) {
    this.#links = links;
  }

  lookup: Roles['lookup'] = async (role, database, { fresh }) => {
    const key = JSON.stringify([role, database]);
    if (fresh) return this.#ask(key, role, database);
    const remembered = this.#known.get(key) ?? this.#unknown.get(key);
    if (remembered !== undefined && performance.now() - remembered.at < FRESH_ENOUGH_MS) return remembered.facts;
    try {
      return await this.#askOnce(key, role, database);
    } catch (error) {
      if (remembered === undefined) throw error;
      return remembered.facts;
    }
  };

  /** Who asks the same at the same time is answered together. */
  #askOnce(key: string, role: string, database: string): Promise<RoleFacts | null> {
    const present = this.#asking.get(key);
    if (present !== undefined) return present;
    const asked = this.#ask(key, role, database).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asked);
    return asked;
  }

  async #ask(key: string, role: string, database: string): Promise<RoleFacts | null> {
    const why: string[] = [];
    for (const link of this.#links().slice(0, MAX_AGENTS)) {
      try {
        const facts = await link.lookup(role, database, ANSWER_TIMEOUT_MS);
        this.#remember(key, facts);
        return facts;
      } catch (error) {
        why.push((error as Error).message);
      }
    }
    return fail('proxy.rolesUnknown', why.length === 0 ? 'nobody is linked' : why.join('; '));
  }

  #remember(key: string, facts: RoleFacts | null): void {
    const [to, from] = facts === null ? [this.#unknown, this.#known] : [this.#known, this.#unknown];
    from.delete(key);
    to.put(key, { facts, at: performance.now() });
  }
}
