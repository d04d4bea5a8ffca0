import { EFFECT } from './effects.ts';
import { readIdentifier } from './identifier.ts';
import { KEYWORD } from './keywords.ts';
import { CLOSE, COMMA, OPEN, OTHER, STRING, WORD } from './lexer.ts';
import type { TokenReader } from './token-reader.ts';

const TRUE = KEYWORD.true;
const COLON = 0x3a;
const TEXT_TYPES: readonly string[] = ['text', 'varchar'];

/**
 * Follows the arguments of `set_config(name, value, is_local)` along the tokens, as everybody calls it who keeps a tenant in a setting.
 * Only a third argument that is plainly `true` is local to the transaction; only a plain literal is a name.
 */
export class SetConfigCall {
  /** False on the hot path. */
  open = false;
  #entered = false;
  #depth = 0;
  /** Arguments that are complete. */
  #commas = 0;
  /** Tokens of the present argument. */
  #tokens = 0;
  #name: string | null = null;
  #isTrue = false;

  begin(reader: TokenReader): void {
    // Within the arguments of another call: that one is then taken to last.
    this.finish(reader);
    this.open = true;
    this.#entered = false;
    this.#commas = 0;
    this.#tokens = 0;
    this.#name = null;
    this.#isTrue = false;
  }

  reset(): void {
    this.open = false;
  }

  /** After the reader has counted its present token in its depth. */
  step(reader: TokenReader): void {
    const { kind } = reader.lexer;
    if (!this.#entered) {
      this.#entered = true;
      this.#depth = reader.depth;
      // A mention that is no call, such as a column of this name, sets nothing.
      if (kind !== OPEN) this.open = false;
    } else if (kind === CLOSE && reader.depth < this.#depth) {
      if (this.#commas === 2 && this.#isTrue) this.open = false;
      else this.finish(reader);
    } else if (kind === COMMA && reader.depth === this.#depth) {
      this.#commas++;
      this.#tokens = 0;
      this.#isTrue = false;
    } else {
      this.#tokens++;
      this.#argument(reader, kind);
    }
  }

  /** The setting outlives the transaction, or the text ends before it is known. */
  finish(reader: TokenReader): void {
    if (this.open) {
      reader.addSetting(this.#name);
      if (this.#name === null) reader.effects |= EFFECT.unnamed;
    }
    this.open = false;
  }

  #argument(reader: TokenReader, kind: number): void {
    const { bytes, tokenStart, tokenEnd } = reader.lexer;
    if (this.#commas === 2) this.#isTrue = this.#tokens === 1 && reader.keyword === TRUE;
    if (this.#commas > 0) return;
    if (this.#tokens === 1) this.#name = kind === STRING ? reader.literal() : null;
    else if (kind === OTHER && bytes[tokenStart] === COLON) return;
    else if (kind !== WORD || !TEXT_TYPES.includes(readIdentifier(bytes, tokenStart, tokenEnd))) this.#name = null;
  }
}
