import type { Hazards } from '#sql/hazards.ts';
import type { StatementFacts } from '#sql/read-statement.ts';
import { frame } from '#wire/frame.ts';
import { BACKEND } from '#wire/message-types.ts';

/** A statement as clients prepare it; the same text, types and settings are the same statement for all of them. */
export interface Statement {
  readonly id: number;
  /** As it is named on the servers; `nameBytes` with a zero byte behind it. */
  readonly name: string;
  readonly nameBytes: Buffer;
  readonly message: Buffer;
  /** Where its text is in `message`. */
  readonly textStart: number;
  readonly textEnd: number;
  /** A server has prepared it: others will. */
  accepted: boolean;
  facts: StatementFacts;
  /** Of its text, as `shapeOf` has it. */
  readonly shape: number;
  /** Its parameters are of the server's own types, as far as they are declared. */
  readonly isOfBuiltinTypes: boolean;
  /** What `facts` were read by: they are read again when definitions have changed. */
  readBy: Hazards;
}

/** No client is likely to choose it; one that does gets its names refused as unknown, never another's statement. */
export const NAME_PREFIX = '_matriarch_';
const OURS = /_matriarch_(\d+)/g;

/** The named statements that one server connection holds, the one used longest ago first. */
export class PreparedOnServer {
  readonly #held = new Map<number, Statement>();
  /** As the client that had it last called them, for error messages. */
  #nameOf: ((id: number) => string | undefined) | null = null;

  get size(): number {
    return this.#held.size;
  }

  has(statement: Statement): boolean {
    if (!this.#held.has(statement.id)) return false;
    this.#held.delete(statement.id);
    this.#held.set(statement.id, statement);
    return true;
  }

  add(statement: Statement): void {
    this.#held.set(statement.id, statement);
  }

  delete(statement: Statement): void {
    this.#held.delete(statement.id);
  }

  /** Those that it holds now. */
  all(): readonly Statement[] {
    return [...this.#held.values()];
  }

  clear(): void {
    this.#held.clear();
  }

  /** The one to close when there are more than `limit`. */
  surplus(limit: number): Statement | undefined {
    return this.#held.size < limit ? undefined : this.#held.values().next().value;
  }

  nameBy(nameOf: ((id: number) => string | undefined) | null): void {
    this.#nameOf = nameOf;
  }

  /** PostgreSQL names statements in its messages; the client knows them by other names. */
  inClientsTerms(message: Buffer, fields: ReadonlyMap<string, string> | undefined): Buffer {
    if (fields === undefined || message.indexOf(NAME_PREFIX, 0, 'latin1') < 0) return message;
    const body = [...fields].map(
      ([letter, text]) => `${letter}${text.replaceAll(OURS, (ours, id: string) => this.#nameOf?.(Number(id)) ?? ours)}\0`,
    );
    return frame(BACKEND.errorResponse, Buffer.from(`${body.join('')}\0`));
  }
}
