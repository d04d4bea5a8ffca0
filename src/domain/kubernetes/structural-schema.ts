import { z } from 'zod';

/** What z.toJSONSchema writes, as far as settings use it; the last six are our schemas' own. */
interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  /** A number, or text with a unit. */
  readonly unit?: string;
  readonly intOrString?: boolean;
  /** Somebody else's structure, kept as it is. */
  readonly preserve?: boolean;
  /** Of a list: the field by which its items are told apart. */
  readonly listMapKey?: string;
}

const KEPT = [
  'description',
  'enum',
  'pattern',
  'format',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minimum',
  'maximum',
] as const;
/** What JavaScript adds to every integer says nothing. */
const MAX_SAFE = Number.MAX_SAFE_INTEGER;

/**
 * The schema of a CustomResourceDefinition: OpenAPI v3, structural, for Kubernetes 1.16 and later. What it cannot express (how settings
 * depend on each other) is checked by the schema itself, by the operator.
 */
export function structuralSchema(schema: z.ZodType): Readonly<Record<string, unknown>> {
  return structure(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema);
}

function structure(schema: JsonSchema): Readonly<Record<string, unknown>> {
  const kept = Object.fromEntries(
    KEPT.filter((key) => schema[key] !== undefined && Math.abs(Number(schema[key])) !== MAX_SAFE).map((key) => [
      key,
      schema[key],
    ]),
  );
  const { description, default: standard } = schema;
  const common = {
    ...(description === undefined ? {} : { description }),
    ...(standard === undefined ? {} : { default: standard }),
  };
  if (schema.preserve === true) return { ...common, type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  if (schema.unit !== undefined) return { ...common, 'x-kubernetes-int-or-string': true };
  if (schema.intOrString === true) return { ...common, pattern: schema.pattern, 'x-kubernetes-int-or-string': true };
  if (schema.anyOf !== undefined) return { ...common, 'x-kubernetes-preserve-unknown-fields': true };
  return { ...kept, ...common, type: schema.type, ...objectParts(schema), ...listParts(schema) };
}

function objectParts({ properties, additionalProperties, required }: JsonSchema) {
  return {
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(Object.entries(properties).map(([name, child]) => [name, structure(child)])) }),
    ...(typeof additionalProperties === 'object' && properties === undefined
      ? { additionalProperties: structure(additionalProperties) }
      : {}),
    ...(required === undefined ? {} : { required }),
  };
}

function listParts({ items, listMapKey }: JsonSchema) {
  return {
    ...(items === undefined ? {} : { items: structure(items) }),
    ...(listMapKey === undefined ? {} : { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [listMapKey] }),
  };
}
