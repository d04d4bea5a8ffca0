import { BUILTIN_NAMES, BUILTIN_WRITES } from './builtin-names.ts';
import { EFFECT } from './effects.ts';
import { KEYWORD, KEYWORD_EFFECTS } from './keywords.ts';
import { Vocabulary, type Word } from './vocabulary.ts';

/** What the names of a database do to a session when a text uses them. */
export interface Hazards {
  readonly vocabulary: Vocabulary;
  /** Whether an operator is among the names. */
  readonly operators: boolean;
  /** What a name outside ASCII may do: its encoding and case are the server's, so it is taken for all such names. */
  readonly foreignNames: number;
  /** What a name that is not in the vocabulary may do: nothing, once the catalog has been read. */
  readonly otherNames: number;
  /** What any definition does besides: event triggers. */
  readonly definitions: number;
  /** Settings with a dot that the database's code sets; `pg_settings` does not show them, so a probe has to name them. Sorted. */
  readonly settings: readonly string[];
}

/** What the objects of one name do. */
export interface NameEffects {
  readonly effects: number;
  /** Besides, when the text writes. */
  readonly writeEffects: number;
}

export interface HazardParts {
  readonly names: ReadonlyMap<string, NameEffects>;
  readonly otherNames?: number;
  readonly definitions?: number;
  readonly settings?: readonly string[];
}

const NAME_BYTES = 63;
const OPERATOR = /^[~!@#^&|`?+\-*/%<>=]/;

/** Hazards from the effects of a database's own names; the server's come by themselves. */
export function createHazards({ names, otherNames = 0, definitions = 0, settings = [] }: HazardParts): Hazards {
  const words = new Map<string, Word>();
  const add = (name: string, more: Partial<Word>) => {
    const word = words.get(name) ?? { keyword: 0, keywordEffects: 0, effects: 0, writeEffects: 0 };
    words.set(name, {
      keyword: more.keyword ?? word.keyword,
      keywordEffects: word.keywordEffects | (more.keywordEffects ?? 0),
      effects: word.effects | (more.effects ?? 0),
      writeEffects: word.writeEffects | (more.writeEffects ?? 0),
    });
  };
  for (const [name, keyword] of Object.entries(KEYWORD)) if (name !== '') add(name, { keyword });
  for (const [name, keywordEffects] of Object.entries(KEYWORD_EFFECTS)) add(name, { keywordEffects });
  for (const [name, effects] of BUILTIN_NAMES) add(name, { effects });
  for (const [name, writeEffects] of BUILTIN_WRITES) add(name, { writeEffects });
  let foreignNames = 0;
  let operators = false;
  for (const [name, { effects, writeEffects }] of names) {
    if (isForeign(name)) foreignNames |= effects | writeEffects;
    else add(name, { effects, writeEffects });
    operators ||= OPERATOR.test(name);
  }
  return { vocabulary: new Vocabulary(words), operators, foreignNames, otherNames, definitions, settings };
}

/** Whether a name of the catalog cannot be told apart from others by the bytes of a text. */
export function isForeign(name: string): boolean {
  return name.includes('"') || Buffer.byteLength(name) !== name.length || name.length > NAME_BYTES;
}

/** The server's own names only: right for a database without code of its own. */
export const NO_HAZARDS: Hazards = createHazards({ names: new Map() });

/** While a database's catalog has not been read, or not since it changed: every name that is not a keyword may run any code. */
export const UNREAD_HAZARDS: Hazards = createHazards({
  names: new Map(),
  otherNames: EFFECT.code | EFFECT.writes,
  definitions: EFFECT.code,
});
