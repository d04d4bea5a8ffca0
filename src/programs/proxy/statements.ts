import type { SessionState } from '#core/pool/session-state.ts';
import type { Hazards } from '#sql/hazards.ts';
import type { StatementFacts } from '#sql/read-statement.ts';
import { readStatement } from '#sql/read-statement.ts';
import { shapeOf } from '#sql/shape-of.ts';
import { renameParse } from '#wire/rename-statement.ts';
import { ownCopy } from './own-copy.ts';
import { isOfBuiltinTypes } from './parameter-types.ts';
import { NAME_PREFIX, type Statement } from './prepared-on-server.ts';

/** Texts that are remembered beyond the clients that use them, by number, by their bytes in all, and by the bytes of one. */
const MOST_KNOWN = 10_000;
const MOST_BYTES = 32 * 2 ** 20;
const LONGEST_BYTES = 64 * 1024;

/** Every text that clients of one database and role prepare under a name, once. */
export class Statements {
  readonly #known = new Map<string, Statement>();
  #lastId = 0;
  #bytes = 0;

  /** Texts that are remembered. */
  get size(): number {
    return this.#known.size;
  }

  /** Whoever prepares its text from now on gets another one. */
  forget(statement: Statement): void {
    for (const [key, known] of this.#known) {
      if (known !== statement) continue;
      this.#known.delete(key);
      this.#bytes -= known.message.length;
    }
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
    const renamed = ownCopy(renameParse(message, name));
    const textStart = 5 + name.length + 1;
    const textEnd = renamed.indexOf(0, textStart);
    const facts = readStatement(renamed, textStart, textEnd, hazards);
    const nameBytes = renamed.subarray(5, textStart);
    const statement: Statement = {
      id,
      name,
      nameBytes,
      message: renamed,
      textStart,
      textEnd,
      accepted: false,
      shape: shapeOf(renamed, textStart, textEnd),
      isOfBuiltinTypes: isOfBuiltinTypes(renamed, textEnd + 1, renamed.length),
      facts,
      readBy: hazards,
    };
    if (message.length <= LONGEST_BYTES) this.#remember(key, statement);
    return statement;
  }

  #remember(key: string, statement: Statement): void {
    this.#known.set(key, statement);
    this.#bytes += statement.message.length;
    for (const [oldest, forgotten] of this.#known) {
      if (this.#known.size <= MOST_KNOWN && this.#bytes <= MOST_BYTES) return;
      this.#known.delete(oldest);
      this.#bytes -= forgotten.message.length;
    }
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
