import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { entryFile } from '#adapters/process/entry-file.ts';

/** Its program. */
export const AGENT_MAIN = fileURLToPath(entryFile(import.meta.url, '../agent/main'));
/**
 * An agent is small and idle most of the time: a small young generation and no optimizing compilers spare a fifth of its memory, and
 * cost none of its time that can be measured. `bin/matriarch agent` takes them too.
 */
export const AGENT_NODE_OPTIONS: readonly string[] = readFileSync(new URL('./node-options', import.meta.url), 'utf8')
  .trim()
  .split(' ');
