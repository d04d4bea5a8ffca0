import { isDeepStrictEqual } from 'node:util';
import { fail } from '#domain/errors.ts';

/** A tree of settings as it was read, before it is checked. */
export type Settings = { readonly [key: string]: unknown };

function isSettings(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Without `path` in it; sections that became empty stay, and stand for their defaults. */
function without(settings: Settings, [key = '', ...rest]: readonly string[]): Settings {
  const { [key]: old, ...others } = settings;
  return rest.length === 0 || !isSettings(old) ? others : { ...others, [key]: without(old, rest) };
}

function withValue(settings: Settings, [key = '', ...rest]: readonly string[], value: unknown): Settings {
  if (rest.length === 0) return { ...settings, [key]: value };
  const old = settings[key];
  return { ...settings, [key]: withValue(isSettings(old) ? old : {}, rest, value) };
}

/** Of PostgreSQL's parameters the name may hold a point of its own (`pg_stat_statements.max`). */
function pathOf(name: string): string[] {
  const parameters = 'postgresql.parameters.';
  return name.startsWith(parameters) ? ['postgresql', 'parameters', name.slice(parameters.length)] : name.split('.');
}

/**
 * The settings after `name=value` changes such as `timings.leaseMs=15s`; an empty value takes the setting out, so that its default
 * holds. `read` turns the text of a value into what YAML says it is. Errors: `usage.invalidArgument`.
 */
export function applyChanges(settings: Settings, changes: readonly string[], read: (text: string) => unknown): Settings {
  return changes.reduce((current, change) => {
    const sign = change.indexOf('=');
    if (sign <= 0) fail('usage.invalidArgument', `"${change}" is no setting=value, such as timings.leaseMs=15s`);
    const path = pathOf(change.slice(0, sign).trim());
    const text = change.slice(sign + 1).trim();
    return text === '' ? without(current, path) : withValue(current, path, read(text));
  }, settings);
}

/** `name: old → new` for every setting that differs, in the order of the names. */
export function describeChanges(before: unknown, after: unknown, name = ''): string[] {
  if (isSettings(before) || isSettings(after)) {
    const [a, b] = [isSettings(before) ? before : {}, isSettings(after) ? after : {}];
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
    return keys.flatMap((key) => describeChanges(a[key], b[key], name === '' ? key : `${name}.${key}`));
  }
  if (isDeepStrictEqual(before, after)) return [];
  const text = (value: unknown) =>
    value === undefined ? 'not set' : Array.isArray(value) ? JSON.stringify(value) : String(value);
  return [`${name}: ${text(before)} → ${text(after)}`];
}
