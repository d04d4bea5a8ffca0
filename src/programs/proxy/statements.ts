import type { SessionState } from '#core/pool/session-state.ts';
import type { Hazards } from '#sql/hazards.ts';
import type { StatementFacts } from '#sql/read-statement.ts';
import { readStatement } from '#sql/read-statement.ts';
import { renameParse } from '#wire/rename-statement.ts';
import { NAME_PREFIX, type Statement } from './prepared-on-server.ts';

/** Texts that are remembered beyond the clients that use them. */
const MAX_KNOWN = 10_000;
const MAX_KNOWN_BYTES = 64 * 2 ** 20;

/** Every text that clients of one database and role prepare under a name, once. */
export class Statements {
  readonly #known = new Map<string, Statement>();
  #knownBytes = 0;
  #lastId = 0;

  /** Whoever prepares its text from now on gets another one. */
  forget(statement: Statement): void {
    for (const [key, known] of this.#known) if (known === statement) this.#drop(key);
  }

  /**
   * @param message a whole Parse message
   * @param bodyAt where its text begins, behind the name
   * @param state the same text means other things under another search_path
   * @param generation and after a change of the catalog: what was prepared before it may give other columns
   */
  intern(message: Buffer, bodyAt: number, state: SessionState, generation: number, hazards: Hazards): Statement {
    const key = `${message.toString('latin1', bodyAt)}\0${generation}\0${state.key}`;
    const found = this.#known.get(key);
    if (found !== undefined) {
      this.#known.delete(key);
      this.#known.set(key, found);
      return found;
    }
    const id = ++this.#lastId;
    const name = `${NAME_PREFIX}${id}`;
    const renamed = renameParse(message, name);
    const textStart = 5 + name.length + 1;
    const textEnd = renamed.indexOf(0, textStart);
    const facts = readStatement(renamed, textStart, textEnd, hazards);
    const nameBytes = Buffer.from(`${name}\0`);
    const statement: Statement = { id, name, nameBytes, message: renamed, textStart, textEnd, facts, readBy: hazards };
    this.#knownBytes += key.length;
    while (this.#known.size > 0 && (this.#known.size >= MAX_KNOWN || this.#knownBytes > MAX_KNOWN_BYTES))
      this.#drop(this.#known.keys().next().value as string);
    this.#known.set(key, statement);
    return statement;
  }

  #drop(key: string): void {
    if (this.#known.delete(key)) this.#knownBytes -= key.length;
  }
}

/** What the statement may do, by what is defined now. */
export function factsOf(statement: Statement, hazards: Hazards): StatementFacts {
  if (statement.readBy !== hazards) {
    statement.facts = readStatement(statement.message, statement.textStart, statement.textEnd, hazards);
    statement.readBy = hazards;
  }
  return statement.facts;
}
