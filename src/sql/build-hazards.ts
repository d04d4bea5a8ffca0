import { type BodyFacts, readBody } from './body-facts.ts';
import { BUILTIN_NAMES, BUILTIN_WRITES } from './builtin-names.ts';
import { EFFECT } from './effects.ts';
import { extensionEffects } from './extension-functions.ts';
import { foreignEffects } from './foreign-languages.ts';
import { createHazards, type Hazards, isForeign, type NameEffects } from './hazards.ts';

/** A row of SESSION_HAZARDS_QUERY. */
export interface HazardRow {
  readonly kind: string;
  readonly name: string;
  readonly used: string | null;
  readonly language: string | null;
  readonly extension: string | null;
  readonly body: string | null;
}

/** All objects of one name: what they do, and what they reach. */
interface Node {
  effects: number;
  writeEffects: number;
  /** Those whose effects follow from this one's, and how. */
  readonly reachedBy: { readonly node: Node; readonly how: Use }[];
}

/** `use`: does what the other does. `write`: does it all when it is written. `run`: does all of it. */
type Use = 'use' | 'write' | 'run';

/** Stands for all names outside ASCII, which cannot be told apart in a text: no object can have this name. */
const FOREIGN = '';
const FOREIGN_MARK = 1 << 24;

class HazardGraph {
  readonly nodes = new Map<string, Node>();
  readonly #links: [from: string, to: string, how: Use][] = [];

  node(name: string): Node {
    let node = this.nodes.get(name);
    if (node === undefined) {
      const effects = (BUILTIN_NAMES.get(name) ?? 0) | (name === 'set_config' ? EFFECT.settings | EFFECT.writes : 0);
      node = { effects, writeEffects: BUILTIN_WRITES.get(name) ?? 0, reachedBy: [] };
      this.nodes.set(name, node);
    }
    return node;
  }

  link(from: string, to: string, how: Use): void {
    this.#links.push([from, to, how]);
    this.node(from);
  }

  /** Each effect of a node travels along each edge once, so the work is bounded by edges times bits. */
  settle(): void {
    for (const [from, to, how] of this.#links) this.node(to).reachedBy.push({ node: this.node(from), how });
    const changed = [...this.nodes.values()];
    for (let one = changed.pop(); one !== undefined; one = changed.pop()) {
      for (const { node, how } of one.reachedBy) if (spread(one, node, how)) changed.push(node);
    }
  }
}

/** Whether the other node learned anything. */
function spread(from: Node, to: Node, how: Use): boolean {
  const { effects, writeEffects } = to;
  const all = from.effects | from.writeEffects;
  if (how === 'write') to.writeEffects |= all;
  else {
    to.effects |= how === 'run' ? all : from.effects;
    to.writeEffects |= from.writeEffects;
  }
  return to.effects !== effects || to.writeEffects !== writeEffects;
}

/**
 * The hazards of one database from the rows of SESSION_HAZARDS_QUERY. Names are told apart by their letters only: objects of one name, in
 * whatever schemas and of whatever kinds, are taken for one that does what all of them do.
 */
export function buildHazards(rows: readonly HazardRow[]): Hazards {
  const graph = new HazardGraph();
  let definitions = 0;
  for (const { kind, name, used } of rows) {
    if (kind === 'definitions') definitions |= EFFECT.code | EFFECT.writes;
    else if (kind === 'unshared') graph.node(name).effects |= EFFECT.unshared;
    else if (used !== null && isUse(kind)) graph.link(name, used, kind);
    else graph.node(name);
  }
  const known = new Map<string, NameEffects>();
  for (const name of graph.nodes.keys()) known.set(name, { effects: isForeign(name) ? FOREIGN_MARK : 0, writeEffects: 0 });
  for (const name of known.keys()) if (isForeign(name)) graph.link(FOREIGN, name, 'run');
  const settings = new Set<string>();
  const reading = createHazards({ names: known });
  for (const row of rows) {
    if (row.kind === 'function') addFunction(graph, row, reading, settings);
    else if (row.kind === 'text' && row.body !== null) addSettings(settings, readBody(row.body, false, reading));
  }
  graph.settle();
  const names = new Map<string, NameEffects>();
  for (const [name, { effects, writeEffects }] of graph.nodes) {
    // What `set_config` does is read from its arguments, unless the database has one of its own.
    if (name === FOREIGN || (name === 'set_config' && !definesSetConfig(rows))) continue;
    if ((effects | writeEffects) !== 0) names.set(name, { effects, writeEffects });
  }
  return createHazards({ names, definitions, settings: [...settings].sort() });
}

function isUse(kind: string): kind is Use {
  return kind === 'use' || kind === 'write' || kind === 'run';
}

function definesSetConfig(rows: readonly HazardRow[]): boolean {
  return rows.some(({ kind, name }) => kind === 'function' && name === 'set_config');
}

function addFunction(graph: HazardGraph, row: HazardRow, reading: Hazards, settings: Set<string>): void {
  const { name, language, extension, body } = row;
  const node = graph.node(name);
  node.effects |= EFFECT.unshared;
  if (language === 'c') node.effects |= extensionEffects(extension, name);
  else if (language !== 'sql' && language !== 'plpgsql') node.effects |= foreignEffects(language, body);
  else if (body !== null) {
    const facts = readBody(body, language === 'plpgsql', reading);
    addSettings(settings, facts);
    node.effects |= facts.effects & ~FOREIGN_MARK;
    const how = (facts.effects & EFFECT.writes) === 0 ? 'use' : 'run';
    for (const used of facts.used) if (used !== name && graph.nodes.has(used)) graph.link(name, used, how);
    if ((facts.effects & FOREIGN_MARK) !== 0) graph.link(name, FOREIGN, 'run');
  }
}

/** Those that `pg_settings` does not show. */
function addSettings(settings: Set<string>, facts: BodyFacts): void {
  for (const setting of facts.settings) if (setting.includes('.')) settings.add(setting);
}
