import { EFFECT } from './effects.ts';
import { KEYWORD } from './keywords.ts';
import { DOT, OPERATOR, QUOTED, WORD } from './lexer.ts';
import type { TokenReader } from './token-reader.ts';

const EQUALS = 0x3d;

/** Everything that DISCARD ALL touches: what setseed() has done stays. */
const DISCARD_ALL =
  EFFECT.settings | EFFECT.prepared | EFFECT.temporary | EFFECT.locks | EFFECT.cursors | EFFECT.unlisten | EFFECT.sequences;

function isName(kind: number): boolean {
  return kind === WORD || kind === QUOTED;
}

function isOperator(reader: TokenReader, byte: number): boolean {
  const { kind, bytes, tokenStart } = reader.lexer;
  return kind === OPERATOR && bytes[tokenStart] === byte;
}

/** Whether the word before the present token was the name of a setting rather than a keyword of SET. */
function endsName(reader: TokenReader): boolean {
  return reader.lexer.kind === DOT || reader.keyword === KEYWORD.to || isOperator(reader, EQUALS);
}

/** The reader stands on SET. */
export function readSet(reader: TokenReader): void {
  let kind = reader.advance();
  let { keyword } = reader;
  let name = isName(kind) ? reader.name() : null;
  kind = reader.advance();
  let local = false;
  if ((keyword === KEYWORD.session || keyword === KEYWORD.local) && !endsName(reader)) {
    local = keyword === KEYWORD.local;
    if (keyword === KEYWORD.session) {
      if (reader.keyword === KEYWORD.characteristics) return addCharacteristics(reader);
      if (reader.keyword === KEYWORD.authorization) return addIdentity(reader);
    }
    keyword = reader.keyword;
    name = isName(kind) ? reader.name() : null;
    kind = reader.advance();
  }
  // It ends with its transaction.
  if (local) return;
  if (endsName(reader)) return reader.addSetting(readDotted(reader, name));
  addPhrase(reader, keyword, name);
}

/** SET and RESET in the words of the standard; the reader stands behind the first of them. */
function addPhrase(reader: TokenReader, keyword: number, name: string | null): void {
  switch (keyword) {
    case KEYWORD.transaction:
    case KEYWORD.constraints:
      return;
    case KEYWORD.session:
      return reader.keyword === KEYWORD.authorization ? addIdentity(reader) : reader.addSetting(name);
    case KEYWORD.time:
      return reader.addSetting('timezone');
    case KEYWORD.names:
      return reader.addSetting('client_encoding');
    case KEYWORD.schema:
      return reader.addSetting('search_path');
    case KEYWORD.xml:
      return reader.addSetting('xmloption');
    default:
      // SET ROLE, and what has the shape of no SET that we know.
      return reader.addSetting(name);
  }
}

/** SET SESSION AUTHORIZATION takes the role along. */
function addIdentity(reader: TokenReader): void {
  reader.addSetting('session_authorization');
  reader.addSetting('role');
}

function addCharacteristics(reader: TokenReader): void {
  reader.addSetting('default_transaction_isolation');
  reader.addSetting('default_transaction_read_only');
  reader.addSetting('default_transaction_deferrable');
}

/** The rest of a.b.c; the reader stands behind `first`. */
function readDotted(reader: TokenReader, first: string | null): string | null {
  let name = first;
  while (reader.lexer.kind === DOT) {
    const kind = reader.advance();
    name = name === null || !isName(kind) ? null : `${name}.${reader.name()}`;
    reader.advance();
  }
  return name;
}

/** The reader stands on RESET. */
export function readReset(reader: TokenReader): void {
  const kind = reader.advance();
  const { keyword } = reader;
  if (keyword === KEYWORD.all) return reader.addSetting(null);
  const name = isName(kind) ? reader.name() : null;
  reader.advance();
  if (reader.lexer.kind === DOT) return reader.addSetting(readDotted(reader, name));
  if (keyword === KEYWORD.session || keyword === KEYWORD.time) return addPhrase(reader, keyword, name);
  reader.addSetting(name);
}

/** The reader stands on DISCARD. True for ALL. */
export function readDiscard(reader: TokenReader): boolean {
  reader.advance();
  switch (reader.keyword) {
    case KEYWORD.plans:
      return false;
    case KEYWORD.sequences:
      reader.effects |= EFFECT.sequences;
      return false;
    case KEYWORD.temp:
    case KEYWORD.temporary:
      reader.effects |= EFFECT.temporary;
      return false;
    default:
      reader.effects |= DISCARD_ALL;
      reader.addSetting(null);
      return true;
  }
}

/** The reader stands on UNLISTEN: a channel; null for all of them, and for what is no UNLISTEN. */
export function readUnlisten(reader: TokenReader): string | null {
  return isName(reader.advance()) ? reader.name() : null;
}
