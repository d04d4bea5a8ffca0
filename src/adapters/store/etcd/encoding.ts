import type { Versioned } from '#domain/ports/store.ts';
import { EtcdFailure } from './failures.ts';

/** A key with the text that stands there. */
export interface StoredText {
  readonly key: string;
  readonly text: string;
  readonly version: number;
}

export function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

/** The key behind every key that begins with `prefix`: its last byte plus one. A UTF-8 text never ends in 0xff. */
export function encodeEnd(prefix: string): string {
  const bytes = Buffer.from(prefix, 'utf8');
  const last = bytes.length - 1;
  if (last < 0) return Buffer.from([0]).toString('base64');
  bytes[last] = (bytes[last] ?? 0) + 1;
  return bytes.toString('base64');
}

/** The gateway writes 64-bit numbers as strings and leaves out those that are 0. */
export function toNumber(value: unknown): number {
  const number = value === undefined ? 0 : Number(value);
  if (!Number.isSafeInteger(number) || number < 0) rubbish(`${JSON.stringify(value)} is no number of etcd`);
  return number;
}

/** A `KeyValue` of etcd without the prefix of the store. The version is its `mod_revision`, which only grows, over deletions too. */
export function decodeKeyValue(json: unknown, prefix: string): StoredText {
  const { key, value, mod_revision } = (json ?? {}) as { key?: unknown; value?: unknown; mod_revision?: unknown };
  if (typeof key !== 'string' || (value !== undefined && typeof value !== 'string'))
    return rubbish('a key-value pair without a key');
  const path = decode(key);
  if (!path.startsWith(prefix)) return rubbish('a key that was not asked for');
  return { key: path.slice(prefix.length), text: value === undefined ? '' : decode(value), version: toNumber(mod_revision) };
}

/** What somebody else wrote and is not JSON reads as undefined: it is there, it has a version, and is nothing that anyone can use. */
export function toVersioned({ text, version }: Pick<StoredText, 'text' | 'version'>): Versioned {
  try {
    return { value: JSON.parse(text), version };
  } catch {
    return { value: undefined, version };
  }
}

export function rubbish(what: string): never {
  throw new EtcdFailure('store.unavailable', `what answers there is no etcd 3.4 or later: ${what}`);
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
