import { performance } from 'node:perf_hooks';
import type { RoleFacts } from '#domain/ports/roles.ts';
import { ROLE_FACTS, type RoleRow, roleFacts } from './role-facts.ts';
import type { ServerContext } from './server-context.ts';
import type { Session } from './session.ts';

const TIMEOUT_MS = 900;
/** Waiting for the one connection. */
const MAX_WAITING = 256;

/** Reads what the server knows of roles, over one connection of its own: primary or standby, whatever the gate. */
export class RoleReader {
  readonly #context: ServerContext;
  readonly #session: Session;
  /** The end of the questions so far. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(context: ServerContext) {
    this.#context = context;
    this.#session = context.openSession({ name: 'matriarch roles' });
  }

  /** Null: no such role, or one of the agents' own. Rejects when the server does not answer within 900 ms, or too many wait. */
  async lookup(role: string, database: string): Promise<RoleFacts | null> {
    const { agent, replication } = this.#context.memory.secrets;
    if (role === agent.name || role === replication.name) return null;
    const [row] = await this.query<RoleRow>(ROLE_FACTS, [role, database], 'role');
    return row === undefined ? null : roleFacts(row, this.#context.memory.byCertificate.has(row.role));
  }

  /** One after the other. */
  query<R extends object>(text: string, values: readonly unknown[], prepared: string): Promise<R[]> {
    if (this.#waiting >= MAX_WAITING) return Promise.reject(new Error('too many questions at once'));
    this.#waiting += 1;
    const deadline = performance.now() + TIMEOUT_MS;
    const answer = this.#last.then(() => {
      this.#waiting -= 1;
      const timeoutMs = deadline - performance.now();
      if (timeoutMs <= 0) throw new Error('the server did not answer in time');
      return this.#session.query<R & Record<string, unknown>>(text, values, { timeoutMs, prepared });
    });
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** Ends the connection; the next question opens another. */
  drop(): void {
    this.#session.drop();
  }
}
