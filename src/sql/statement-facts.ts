/** What the proxy must know of a text before and after it runs. */
export interface StatementFacts {
  /** Bits of EFFECT; ANY_EFFECT when the text can be read in two ways. */
  readonly effects: number;
  /** How many statements that are not empty. */
  readonly statements: number;
  /** The first keyword in lower case; empty for an empty text, and for a word that begins no statement we know. */
  readonly command: string;
  /** Literal names that SET, RESET and `set_config()` touch, in lower case, as the server's parameters are called. */
  readonly settings: readonly string[];
  /** Settings are touched whose names are not in `settings`: RESET ALL, DISCARD ALL, a computed name, code of the database. */
  readonly allSettings: boolean;
  /** The prepared statement in a text of one statement. */
  readonly named: NamedStatement | null;
  /** The channels, folded; all for UNLISTEN * and DISCARD ALL. */
  readonly unlisten: readonly string[] | 'all' | null;
}

/** Where a text of one statement names a prepared statement, so that the name can be replaced. */
export interface NamedStatement {
  /** `execute` also within EXPLAIN and CREATE TABLE AS. */
  readonly verb: 'prepare' | 'execute' | 'deallocate' | 'deallocateAll';
  /** As the server knows it: folded or unquoted, at most 63 bytes. Empty for `deallocateAll`. */
  readonly name: string;
  /** The bytes of the name with its quotes, or of ALL. */
  readonly start: number;
  readonly end: number;
}
