import { EFFECT } from './effects.ts';

const { writes, temporary, catalog, code, ends, rollsBack, begins, cursors, listen, unlisten, library, discard, prepared } =
  EFFECT;

/** The first words of statements, and what they do by themselves. A word that is missing may be a command of a newer server: any code. */
const COMMANDS = {
  select: 0,
  values: 0,
  table: 0,
  show: 0,
  explain: 0,
  with: 0,
  insert: writes,
  update: writes,
  delete: writes,
  merge: writes,
  begin: begins | writes,
  start: begins | writes,
  commit: ends | writes,
  end: ends | writes,
  rollback: rollsBack | writes,
  abort: rollsBack | writes,
  savepoint: writes,
  release: writes,
  set: writes,
  reset: writes,
  discard: discard | writes,
  prepare: writes,
  execute: prepared | writes,
  deallocate: prepared | writes,
  declare: writes,
  fetch: writes,
  move: writes,
  close: cursors | writes,
  listen: listen | writes,
  unlisten: unlisten | writes,
  notify: writes,
  lock: writes,
  copy: writes,
  truncate: writes,
  load: library | writes,
  do: code | ends | writes,
  call: code | ends | writes,
  create: temporary | catalog | writes,
  alter: temporary | catalog | writes,
  drop: temporary | catalog | writes,
  import: temporary | catalog | writes,
  reassign: catalog | writes,
  refresh: code | writes,
  reindex: code | writes,
  vacuum: code | writes,
  analyze: code | writes,
  analyse: code | writes,
  cluster: code | writes,
  comment: writes,
  security: writes,
  grant: writes,
  revoke: writes,
  checkpoint: writes,
} as const;

const CLAUSES = [
  'share',
  'into',
  'hold',
  'set_config',
  'atomic',
  'stdin',
  'stdout',
  'all',
  'true',
  'session',
  'local',
  'to',
  'from',
  'authorization',
  'characteristics',
  'transaction',
  'constraints',
  'time',
  'zone',
  'names',
  'schema',
  'xml',
  'prepared',
  'plans',
  'sequences',
  'temp',
  'temporary',
  'as',
  'and',
  'chain',
  'then',
  'else',
  'loop',
  'case',
  'language',
] as const;

export type Command = keyof typeof COMMANDS;
type Clause = (typeof CLAUSES)[number];

/** By number, from 1. Commands come first. */
export const KEYWORD_NAMES: readonly string[] = ['', ...Object.keys(COMMANDS), ...CLAUSES];
const LAST_COMMAND = Object.keys(COMMANDS).length;

export const KEYWORD = Object.fromEntries(KEYWORD_NAMES.map((name, index) => [name, index])) as Record<Command | Clause, number>;

/** By keyword: what a statement does that begins with it. Anything, for what begins no statement we know: a newer server may. */
export const COMMAND_EFFECTS = new Int32Array(KEYWORD_NAMES.length).fill(code | writes);
COMMAND_EFFECTS.set(Object.values(COMMANDS), 1);

export function isCommand(keyword: number): boolean {
  return keyword > 0 && keyword <= LAST_COMMAND;
}

/** What a keyword says in any place: data-modifying parts and lock clauses. */
export const KEYWORD_EFFECTS: Readonly<Partial<Record<Command | Clause, number>>> = {
  insert: writes,
  update: writes,
  delete: writes,
  merge: writes,
  share: writes,
};
