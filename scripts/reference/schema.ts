import { z } from 'zod';
import { formatBytes, formatDuration } from '#domain/config/quantity.ts';
import { row } from './markdown.ts';

/** What z.toJSONSchema writes, as far as it is used here; `unit` and `example` are the schema's own. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly unit?: 'milliseconds' | 'bytes';
  readonly example?: string;
  /** A quantity of Kubernetes. */
  readonly intOrString?: boolean;
  /** Somebody else's structure. */
  readonly preserve?: boolean;
  /** Its settings have a table of their own. */
  readonly listedAbove?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
}

function quantity(value: number, unit: Schema['unit']): string {
  if (unit === 'milliseconds') return formatDuration(value);
  return unit === 'bytes' ? formatBytes(value) : String(value);
}

function typeOf(schema: Schema): string {
  if (schema.intOrString === true) return 'quantity such as 500m, 2 or 1Gi';
  if (schema.enum) return schema.enum.map((one) => `\`${String(one)}\``).join(', ');
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices && schema.type === undefined) return choices.map(typeOf).join(' or ');
  if (schema.unit !== undefined) {
    const example = schema.example === undefined ? '' : `, or text such as ${schema.example}`;
    return `${schema.unit}${example}; ${quantity(schema.minimum ?? 0, schema.unit)} to ${quantity(schema.maximum ?? Infinity, schema.unit)}`;
  }
  const range = schema.minimum !== undefined && (schema.maximum ?? Infinity) < 2 ** 53 - 1;
  const types = [schema.type ?? 'any'].flat().join(' or ');
  return `${types}${range ? `, ${schema.minimum} to ${schema.maximum}` : ''}`;
}

function defaultOf({ default: value, unit }: Schema, required: boolean): string {
  if (value === undefined) return required ? 'required' : '–';
  return typeof value === 'number' ? quantity(value, unit) : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

/** Of PostgreSQL's parameters everything becomes text, and each may be written as what it is. */
function typeOfValues(values: Schema): string {
  return values.type === undefined && values.intOrString !== true ? 'text, number or true or false' : typeOf(values);
}

/** One row for each setting, sections before what is in them; `named` is the name of the setting so far. */
function rows(schema: Schema, named: string): string[] {
  if (schema.oneOf !== undefined) return schema.oneOf.flatMap((choice) => rows(choice, named));
  const { properties = {}, required = [] } = schema;
  return Object.entries(properties).flatMap(([key, child]) => {
    const name = named === '' ? key : `${named}.${key}`;
    if (child.listedAbove === true) return [row([`\`${name}\``, 'settings of the cluster', '–', child.description ?? ''])];
    const inner = child.items?.properties !== undefined ? rows(child.items, `${name}[]`) : rows(child, name);
    const whole = Object.keys(child.default ?? {}).length > 0 ? defaultOf(child, false) : '';
    if (inner.length > 0) return [...(child.description ? [row([`\`${name}\``, '', whole, child.description])] : []), ...inner];
    const values = child.type === 'object' && child.preserve !== true ? child.additionalProperties : undefined;
    const free = typeof values === 'object' ? `${name}.NAME` : name;
    const type = typeof values === 'object' ? typeOfValues(values) : typeOf(child);
    return [row([`\`${free}\``, type, defaultOf(child, free === name && required.includes(key)), child.description ?? ''])];
  });
}

export function toJsonSchema(schema: z.ZodType, io: 'input' | 'output'): Schema {
  return z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Schema;
}

export function settingsTable(schema: z.ZodType): string[] {
  return ['| setting | type and range | default | meaning |', '|---|---|---|---|', ...rows(toJsonSchema(schema, 'output'), '')];
}

export function fieldsTable(schema: z.ZodType): string[] {
  const json = toJsonSchema(schema, 'output');
  const withoutDefault = rows(json, '').map((line) => line.split(' | '));
  return [
    '| field | type | meaning |',
    '|---|---|---|',
    ...withoutDefault.map(([name, type, _, ...rest]) => [name, type, ...rest].join(' | ')),
  ];
}
