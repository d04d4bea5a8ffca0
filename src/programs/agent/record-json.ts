import { formatLsn, parseLsn } from '#domain/lsn.ts';

/** Keys whose text is an LSN, in an object that also has a timeline: `{timeline, lsn}` and `{timeline, end}`. */
const LSN_KEYS = new Set(['lsn', 'end']);

/** Makes a value fit for JSON: LSNs become PostgreSQL's text. */
export function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return formatLsn(value);
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, toJson(part)]));
}

/** The way back. Whatever is no LSN where one is due stays text, and the shape check behind it refuses it. */
export function fromJson(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(fromJson);
  if (typeof json !== 'object' || json === null) return json;
  const positioned = 'timeline' in json;
  return Object.fromEntries(
    Object.entries(json).map(([key, part]) => [
      key,
      positioned && LSN_KEYS.has(key) && typeof part === 'string' ? (parseLsn(part) ?? part) : fromJson(part),
    ]),
  );
}
