import { ANY_EFFECT, EFFECT } from './effects.ts';
import type { Hazards } from './hazards.ts';
import { COMMAND_EFFECTS, type Command, isCommand, KEYWORD, KEYWORD_NAMES } from './keywords.ts';
import { END, OPEN, QUOTED, SEMICOLON, STRING, WORD } from './lexer.ts';
import { readDiscard, readReset, readSet, readUnlisten } from './session-commands.ts';
import { TokenReader } from './token-reader.ts';

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

const NOTHING: readonly string[] = [];

function flags(...commands: readonly Command[]): Uint8Array {
  const table = new Uint8Array(KEYWORD_NAMES.length);
  for (const command of commands) table[KEYWORD[command]] = 1;
  return table;
}

/** Commands that are read further than their first word. */
const SESSION = flags('set', 'reset', 'discard', 'prepare', 'execute', 'deallocate', 'unlisten');
/** Commands in which a keyword further on matters. */
const WATCHED = flags('create', 'do', 'explain', 'declare', 'copy', 'commit', 'end', 'rollback', 'abort');
/** Commands that fire no event trigger. */
const WITHOUT_EVENTS = flags(
  ...(['select', 'insert', 'update', 'delete', 'merge', 'values', 'table', 'with', 'show', 'explain'] as const),
  ...(['begin', 'start', 'commit', 'end', 'rollback', 'abort', 'savepoint', 'release', 'set', 'reset'] as const),
  ...(['discard', 'prepare', 'execute', 'deallocate', 'declare', 'fetch', 'move', 'close', 'listen'] as const),
  ...(['unlisten', 'notify', 'lock', 'copy', 'truncate', 'load', 'checkpoint', 'do', 'call'] as const),
);

class StatementReader {
  readonly #tokens = new TokenReader();
  #statements = 0;
  #command = 0;
  #named: NamedStatement | null = null;
  #unlisten: string[] | 'all' | null = null;
  /** Within BEGIN ATOMIC: what follows a semicolon is read as a statement, but not counted as one. */
  #body = false;
  /** The last facts of each command, which are given again when nothing differs. */
  readonly #recent: (StatementFacts | undefined)[] = KEYWORD_NAMES.map(() => undefined);

  read(bytes: Uint8Array, start: number, end: number, hazards: Hazards): StatementFacts {
    const tokens = this.#tokens;
    tokens.open(bytes, start, end, hazards);
    this.#statements = 0;
    this.#command = 0;
    this.#named = null;
    this.#unlisten = null;
    this.#body = false;
    tokens.advance();
    while (tokens.lexer.kind !== END) {
      if (tokens.lexer.kind === SEMICOLON) tokens.advance();
      else this.#statement();
    }
    tokens.finish();
    return this.#facts();
  }

  #facts(): StatementFacts {
    const { effects: own, nameEffects, lexer, settings, allSettings } = this.#tokens;
    const effects = own | nameEffects | (this.#statements > 1 ? EFFECT.writes : 0);
    const statements = this.#statements;
    const command = KEYWORD_NAMES[this.#command] as string;
    if (lexer.ambiguous) {
      return { effects: ANY_EFFECT, statements, command, settings, allSettings: true, named: null, unlisten: null };
    }
    const plain = settings.length === 0 && this.#named === null && this.#unlisten === null && statements <= 1;
    const recent = this.#recent[this.#command];
    if (plain && recent?.effects === effects && recent.statements === statements && recent.allSettings === allSettings) {
      return recent;
    }
    const facts: StatementFacts = {
      effects,
      statements,
      command,
      settings: settings.length === 0 ? NOTHING : settings,
      allSettings,
      named: statements === 1 ? this.#named : null,
      unlisten: this.#unlisten,
    };
    if (plain) this.#recent[this.#command] = facts;
    return facts;
  }

  /** From its first token to a semicolon or the end; a semicolon in parentheses or a body ends it too, for want of knowing better. */
  #statement(): void {
    const tokens = this.#tokens;
    const { lexer } = tokens;
    const counted = !this.#body && tokens.depth === (lexer.kind === OPEN ? 1 : 0);
    while (lexer.kind === OPEN) tokens.advance();
    // Only a statement can begin with it in a body, and none does but the body's own end.
    if (tokens.keyword === KEYWORD.end) this.#body = false;
    const command = isCommand(tokens.keyword) ? tokens.keyword : 0;
    if (counted) {
      this.#statements++;
      if (this.#statements === 1) this.#command = command;
    }
    tokens.effects |= COMMAND_EFFECTS[command] as number;
    if (WITHOUT_EVENTS[command] === 0) tokens.effects |= tokens.hazards.definitions;
    if (SESSION[command] === 1) this.#sessionCommand(command);
    const watched = WATCHED[command] === 1;
    let before = 0;
    while (lexer.kind !== END && lexer.kind !== SEMICOLON) {
      if (watched && tokens.keyword !== 0) this.#watch(command, before);
      if (before === KEYWORD.language && (command === KEYWORD.create || command === KEYWORD.do)) this.#language(command);
      before = tokens.keyword;
      tokens.advance();
    }
  }

  #watch(command: number, before: number): void {
    const tokens = this.#tokens;
    switch (tokens.keyword) {
      case KEYWORD.analyze:
      case KEYWORD.analyse:
        if (command === KEYWORD.explain) tokens.effects |= EFFECT.writes;
        return;
      case KEYWORD.create:
      case KEYWORD.refresh:
        // EXPLAIN ANALYZE makes the table that it explains.
        if (command === KEYWORD.explain) tokens.effects |= COMMAND_EFFECTS[tokens.keyword] as number;
        return;
      case KEYWORD.execute:
        if (command === KEYWORD.explain || before === KEYWORD.as) this.#nameBehind('execute');
        return;
      case KEYWORD.hold:
        if (command === KEYWORD.declare && before === KEYWORD.with) tokens.effects |= EFFECT.cursors;
        return;
      case KEYWORD.stdin:
      case KEYWORD.stdout:
        if (command === KEYWORD.copy) tokens.effects |= EFFECT.copies;
        return;
      case KEYWORD.prepared:
        tokens.effects |= EFFECT.ends;
        return;
      case KEYWORD.chain:
        if (before === KEYWORD.and) tokens.effects |= EFFECT.begins;
        return;
      case KEYWORD.atomic:
        if (command === KEYWORD.create && before === KEYWORD.begin) this.#body = true;
        return;
    }
  }

  /** Behind LANGUAGE. To check a function in C, the server loads its library, as LOAD does; a block may keep something to itself. */
  #language(command: number): void {
    const tokens = this.#tokens;
    const { kind } = tokens.lexer;
    const name = kind === STRING ? tokens.literal() : kind === WORD || kind === QUOTED ? tokens.name() : '';
    const language = name.toLowerCase();
    if (command === KEYWORD.create && language === 'c') tokens.effects |= EFFECT.library;
    if (command === KEYWORD.do && language !== 'plpgsql') tokens.effects |= EFFECT.backend;
  }

  #sessionCommand(command: number): void {
    const tokens = this.#tokens;
    switch (command) {
      case KEYWORD.set:
        return readSet(tokens);
      case KEYWORD.reset:
        return readReset(tokens);
      case KEYWORD.discard:
        if (readDiscard(tokens)) this.#unlisten = 'all';
        return;
      case KEYWORD.unlisten:
        return this.#addUnlisten(readUnlisten(tokens));
      case KEYWORD.execute:
        return this.#nameBehind('execute');
      case KEYWORD.prepare:
        return this.#nameBehind('prepare');
      case KEYWORD.deallocate:
        return this.#nameBehind('deallocate');
    }
  }

  #addUnlisten(channel: string | null): void {
    if (channel === null) this.#unlisten = 'all';
    else if (this.#unlisten === null) this.#unlisten = [channel];
    else if (this.#unlisten !== 'all') this.#unlisten.push(channel);
  }

  /** The reader stands on the verb. */
  #nameBehind(verb: NamedStatement['verb']): void {
    const tokens = this.#tokens;
    const { lexer } = tokens;
    let kind = tokens.advance();
    if (verb === 'prepare' && tokens.keyword === KEYWORD.transaction) {
      tokens.effects |= EFFECT.ends;
      return;
    }
    tokens.effects |= EFFECT.prepared;
    // DEALLOCATE PREPARE p: the word says nothing, unless it is itself the name.
    if (verb === 'deallocate' && tokens.keyword === KEYWORD.prepare) {
      const { tokenStart: start, tokenEnd: end } = lexer;
      const name = tokens.name();
      kind = tokens.advance();
      if (kind !== WORD && kind !== QUOTED) {
        this.#named = { verb, name, start, end };
        return;
      }
    }
    if (kind !== WORD && kind !== QUOTED) return;
    const all = verb === 'deallocate' && tokens.keyword === KEYWORD.all;
    const { tokenStart: start, tokenEnd: end } = lexer;
    this.#named = { verb: all ? 'deallocateAll' : verb, name: all ? '' : tokens.name(), start, end };
  }
}

const READER = new StatementReader();

/**
 * What the text in [start, end) of `bytes` may do to the session of a server connection, by one pass over its bytes. Never throws. The
 * facts may be an object that was given before. EXECUTE has the effects of the prepared text besides, which the caller remembers.
 */
export function readStatement(bytes: Buffer, start: number, end: number, hazards: Hazards): StatementFacts {
  return READER.read(bytes, start, end, hazards);
}
