import { EFFECT } from './effects.ts';
import { type Hazards, NO_HAZARDS } from './hazards.ts';
import { readIdentifier } from './identifier.ts';
import { KEYWORD } from './keywords.ts';
import { CLOSE, DOT, Lexer, OPEN, OPERATOR, QUOTED, WORD } from './lexer.ts';
import { SetConfigCall } from './set-config-call.ts';

const { settings: SETTINGS, messages: MESSAGES, seed: SEED, temporary: TEMPORARY, writes: WRITES } = EFFECT;
const { insert: INSERT, merge: MERGE, into: INTO, set_config: SET_CONFIG } = KEYWORD;
const ASCII_CASE = /[A-Z]+/g;

/** Gone at the end of their transaction, however they are set. */
const OF_THE_TRANSACTION: readonly string[] = ['transaction_isolation', 'transaction_read_only', 'transaction_deferrable'];

/** Walks through the tokens of a text and gathers what their names do. One is made and used again. */
export class TokenReader {
  readonly lexer = new Lexer(NO_HAZARDS.vocabulary);
  /** What statements and keywords do. */
  effects = 0;
  /** What names do. */
  nameEffects = 0;
  /** What names do besides when the text writes. */
  writeEffects = 0;
  /** Of the present token: its number among the keywords. */
  keyword = 0;
  /** Open parentheses. */
  depth = 0;
  settings: string[] = [];
  allSettings = false;
  hazards: Hazards = NO_HAZARDS;
  /** For bodies of functions: the words of the vocabulary that were met. */
  met: Set<number> | null = null;
  /** In PL/pgSQL, INTO names a variable and no new table. */
  assigns = false;
  readonly #setConfig = new SetConfigCall();
  readonly #known = new Set<string>();

  open(bytes: Uint8Array, start: number, end: number, hazards: Hazards): void {
    this.lexer.open(bytes, start, end, hazards.vocabulary, hazards.operators);
    this.hazards = hazards;
    this.effects = 0;
    this.nameEffects = 0;
    this.writeEffects = 0;
    this.keyword = 0;
    this.depth = 0;
    this.allSettings = false;
    if (this.settings.length > 0) {
      this.settings = [];
      this.#known.clear();
    }
    this.#setConfig.reset();
  }

  /** The kind of the next token, after counting what it says. */
  advance(): number {
    const { lexer } = this;
    const before = this.keyword;
    const afterDot = lexer.kind === DOT;
    const kind = lexer.next();
    this.keyword = 0;
    if (kind === WORD) {
      if (lexer.word !== 0) this.#meet(lexer.word, before, afterDot);
      else this.nameEffects |= this.hazards.otherNames;
      if (lexer.foreign) this.nameEffects |= this.hazards.foreignNames;
    } else if (kind === OPEN) this.depth++;
    else if (kind === CLOSE) {
      // What is closed too often is no statement; what follows is still read as one.
      if (this.depth > 0) this.depth--;
    } else if (kind === QUOTED || kind === OPERATOR) this.#meetName(kind);
    if (this.#setConfig.open) this.#setConfig.step(this);
    if (this.keyword === SET_CONFIG) this.#setConfig.begin(this);
    return kind;
  }

  finish(): void {
    this.#setConfig.finish(this);
    if ((this.nameEffects & SETTINGS) !== 0) this.allSettings = true;
    if (((this.effects | this.nameEffects) & WRITES) !== 0) {
      this.nameEffects |= this.writeEffects;
      if ((this.writeEffects & SETTINGS) !== 0) this.allSettings = true;
    }
  }

  /** A setting that outlives the transaction; null: its name is not to be read from the text. */
  addSetting(name: string | null): void {
    const setting = name?.replaceAll(ASCII_CASE, (letters) => letters.toLowerCase()) ?? null;
    if (setting !== null && OF_THE_TRANSACTION.includes(setting)) return;
    this.effects |= SETTINGS | WRITES;
    if (setting === null) this.allSettings = true;
    else if (!this.#known.has(setting)) {
      this.#known.add(setting);
      this.settings.push(setting);
    }
    if (setting === 'client_min_messages') this.effects |= MESSAGES;
    if (setting === 'seed') this.effects |= SEED;
  }

  /** The identifier at the present token. */
  name(): string {
    const { bytes, tokenStart, tokenEnd } = this.lexer;
    return readIdentifier(bytes, tokenStart, tokenEnd);
  }

  /** The text of the plain literal at the present token. */
  literal(): string {
    const { bytes, tokenStart, tokenEnd } = this.lexer;
    const raw = Buffer.from(bytes.buffer, bytes.byteOffset + tokenStart, tokenEnd - tokenStart).toString();
    return raw.slice(1, -1).replaceAll("''", "'");
  }

  #meet(word: number, before: number, afterDot: boolean): void {
    const { vocabulary } = this.hazards;
    this.met?.add(word);
    this.nameEffects |= vocabulary.effects[word] as number;
    this.writeEffects |= vocabulary.writeEffects[word] as number;
    const keyword = vocabulary.keywords[word] as number;
    if (keyword === 0) return;
    // Behind a dot stands an attribute, such as t.update; a function may be qualified.
    if (afterDot && keyword !== SET_CONFIG) return;
    this.keyword = keyword;
    this.effects |= vocabulary.keywordEffects[word] as number;
    if (keyword === INTO && before !== INSERT && before !== MERGE && !this.assigns) this.effects |= WRITES | TEMPORARY;
  }

  #meetName(kind: number): void {
    const { lexer, hazards } = this;
    const { word } = lexer;
    if (word !== 0) {
      this.met?.add(word);
      this.nameEffects |= hazards.vocabulary.effects[word] as number;
      this.writeEffects |= hazards.vocabulary.writeEffects[word] as number;
      if (hazards.vocabulary.keywords[word] === SET_CONFIG) this.keyword = SET_CONFIG;
    } else if (kind === QUOTED) this.nameEffects |= hazards.otherNames;
    if (kind === QUOTED && lexer.foreign) this.nameEffects |= hazards.foreignNames;
  }
}
