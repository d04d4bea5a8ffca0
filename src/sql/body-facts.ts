import { EFFECT } from './effects.ts';
import type { Hazards } from './hazards.ts';
import { COMMAND_EFFECTS, type Command, isCommand, KEYWORD } from './keywords.ts';
import { END, OPEN, OPERATOR, SEMICOLON } from './lexer.ts';
import { readDiscard, readReset, readSet } from './session-commands.ts';
import { TokenReader } from './token-reader.ts';

/** What the body of a function does by itself, and the names that it uses. */
export interface BodyFacts {
  readonly effects: number;
  readonly settings: readonly string[];
  /** Words of the vocabulary. */
  readonly used: readonly string[];
}

/** In a body a statement can begin behind these words as well as behind a semicolon. */
const OPENERS = new Set([KEYWORD.begin, KEYWORD.then, KEYWORD.else, KEYWORD.loop, KEYWORD.declare]);

/** Words that begin something else in PL/pgSQL than in SQL: the end of a block, a declaration, a cursor, a loop. */
const OTHERWISE: ReadonlySet<number> = new Set(
  (['end', 'begin', 'declare', 'fetch', 'move', 'close', 'select', 'with', 'start'] satisfies Command[]).map(
    (name) => KEYWORD[name],
  ),
);

const CALLED = EFFECT.ends | EFFECT.writes;

/**
 * The body of a function in SQL or PL/pgSQL, read for everything that may outlive the call. PL/pgSQL is not parsed: whatever may be the
 * first word of a statement is taken for one. Dynamic SQL is any code.
 */
export function readBody(body: string, plpgsql: boolean, hazards: Hazards): BodyFacts {
  const bytes = Buffer.from(body);
  const tokens = new TokenReader();
  const met = new Set<number>();
  tokens.open(bytes, 0, bytes.length, hazards);
  tokens.met = met;
  tokens.assigns = plpgsql;
  let first = true;
  tokens.advance();
  while (tokens.lexer.kind !== END) {
    const { kind } = tokens.lexer;
    const { keyword } = tokens;
    if (first && kind === OPEN) {
      tokens.advance();
      continue;
    }
    if (keyword === KEYWORD.execute) tokens.effects |= EFFECT.code | EFFECT.writes;
    if (first) readFirst(tokens, keyword, plpgsql);
    first = endsStatement(tokens, plpgsql);
    // Reading a command may have come to the end, or to its semicolon, by itself.
    if (tokens.lexer.kind !== END) tokens.advance();
  }
  tokens.finish();
  const effects = tokens.lexer.ambiguous ? EFFECT.code | EFFECT.writes : tokens.effects | tokens.nameEffects;
  return { effects, settings: tokens.settings, used: [...met].map((word) => hazards.vocabulary.names[word] as string) };
}

function endsStatement(tokens: TokenReader, plpgsql: boolean): boolean {
  const { kind } = tokens.lexer;
  return kind === SEMICOLON || (plpgsql && (kind === OPERATOR || OPENERS.has(tokens.keyword)));
}

function readFirst(tokens: TokenReader, keyword: number, plpgsql: boolean): void {
  if (!isCommand(keyword)) return;
  switch (keyword) {
    case KEYWORD.set:
      return readSet(tokens);
    case KEYWORD.reset:
      return readReset(tokens);
    case KEYWORD.discard:
      readDiscard(tokens);
      return;
    case KEYWORD.call:
      // What the procedure does comes with its name.
      tokens.effects |= CALLED;
      return;
    case KEYWORD.prepare:
      tokens.effects |= EFFECT.prepared | EFFECT.writes;
      return;
  }
  if (keyword === KEYWORD.declare && !plpgsql) tokens.effects |= EFFECT.cursors;
  if (!(plpgsql && OTHERWISE.has(keyword))) tokens.effects |= COMMAND_EFFECTS[keyword] as number;
}
