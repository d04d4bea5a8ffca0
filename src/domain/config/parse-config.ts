import type { core, z } from 'zod';
import { fail, MatriarchError } from '../errors.ts';
import { suggest } from '../suggest.ts';
import { type ClusterConfig, clusterConfigSchema } from './cluster-config.ts';
import { type MemberConfig, memberConfigSchema } from './member-config.ts';
import { type ReadDocument, readDocument } from './read-document.ts';

type Locate = (path: readonly PropertyKey[]) => string;

/** An unknown key is named with its own path and, when it is a slip of the pen, with the key that was probably meant. */
function describeUnknownKeys(issue: core.$ZodIssueUnrecognizedKeys, schema: z.ZodType, at: Locate): string[] {
  const known = knownKeys(schema, issue.path);
  return issue.keys.map((key) => `${at([...issue.path, key])} is no setting${suggest(key, known)}`);
}

function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let current: unknown = schema;
  for (const step of [...path, undefined]) {
    while (current !== undefined && !hasShape(current))
      current = (current as { _zod?: { def?: { innerType?: unknown } } })._zod?.def?.innerType;
    if (current === undefined) return [];
    if (step === undefined) return Object.keys(current.shape);
    current = current.shape[String(step)];
  }
  return [];
}

function hasShape(schema: unknown): schema is { readonly shape: Readonly<Record<string, unknown>> } {
  return typeof (schema as { shape?: unknown }).shape === 'object';
}

function describe(issue: core.$ZodIssue, schema: z.ZodType, at: Locate): string[] {
  if (issue.code === 'unrecognized_keys') return describeUnknownKeys(issue, schema, at);
  const message = issue.message.replace(/^Invalid input: /, '').replace(/^Too (small|big): /, '');
  return [`${at(issue.path)}: ${message}`];
}

/**
 * Checks a value against a schema. Throws `config.invalid`, or `config.owned` when the only trouble is parameters that belong to
 * Matriarch, naming every place at once. A document's own lines are named when `source` is given.
 */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  place: string,
  source?: ReadDocument,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const at: Locate = (path) => {
    const line = source?.lineOf(path);
    const name = path.map(String).join('.');
    return `${place}${line === undefined ? '' : `, line ${line}`}${name === '' ? '' : `: ${name}`}`;
  };
  const issues = result.error.issues;
  const owned = issues.every((issue) => issue.code === 'custom' && issue.params?.owned === true);
  fail(owned ? 'config.owned' : 'config.invalid', issues.flatMap((issue) => describe(issue, schema, at)).join('\n'));
}

/** The dynamic configuration from the store, an API call or a person, with defaults filled in. */
export function parseClusterConfig(value: unknown, place = 'configuration', source?: ReadDocument): ClusterConfig {
  return validate(clusterConfigSchema, value ?? {}, place, source);
}

/** The dynamic configuration as a person wrote it: YAML or JSON. */
export function parseClusterConfigText(text: string, place: string): ClusterConfig {
  const source = readDocument(text, place);
  return parseClusterConfig(source.value, place, source);
}

/** An agent's own configuration file. */
export function parseMemberConfigText(text: string, place: string): MemberConfig {
  const source = readDocument(text, place);
  return validate(memberConfigSchema, source.value, place, source);
}

/** The configuration of a new cluster: `required` needs two standbys to survive the loss of one without waiting, `preferred` one. */
export function initialClusterConfig(members: number, mode?: ClusterConfig['durability']['mode']): ClusterConfig {
  const byCount = members >= 3 ? 'required' : members === 2 ? 'preferred' : 'async';
  if (members < 2 && mode === 'required')
    throw new MatriarchError(
      'config.invalid',
      'durability.mode: `required` with one member would let no commit ever end; it takes two at least',
    );
  return parseClusterConfig({ durability: { mode: mode ?? byCount } });
}
