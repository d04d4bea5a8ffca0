import { LineCounter, parseDocument } from 'yaml';
import { fail } from '../errors.ts';

/** A parsed document that still knows on which line each setting stands. */
export interface ReadDocument {
  readonly value: unknown;
  /** The line of a setting, or of the nearest thing around it; undefined in an empty document. */
  lineOf(path: readonly PropertyKey[]): number | undefined;
}

/** Reads YAML 1.2 (so JSON too). Throws `config.malformed` with file and line. `place` is what people know the document by. */
export function readDocument(text: string, place: string): ReadDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    fail('config.malformed', `${place}, line ${line}, column ${col}: ${problem.message}`);
  }
  let value: unknown;
  try {
    // A few bytes of aliases that name each other would otherwise fill the memory.
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    fail('config.malformed', `${place}: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  return {
    value,
    lineOf(path) {
      for (let length = path.length; length >= 0; length--) {
        const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
        const range = (node as { range?: readonly [number, number, number] | null } | null | undefined)?.range;
        if (range) return lines.linePos(range[0]).line;
      }
      return undefined;
    },
  };
}
