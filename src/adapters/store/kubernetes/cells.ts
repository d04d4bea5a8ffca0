import type { Versioned } from '#domain/ports/store.ts';

/** What stands in one annotation of an object, or in one entry of a ConfigMap. */
export interface Cell {
  readonly value: unknown;
  /**
   * The resource version of the object that the write of this cell replaced: it only grows, whoever else writes into the object, and
   * no two writes into one object have the same, because the second would have been refused.
   */
  readonly version: number;
  /** How long it stands since a client has first seen it. */
  readonly ttlMs?: number;
}

export function cellText({ version, ttlMs, value }: Cell): string {
  return JSON.stringify({ version, ...(ttlMs === undefined ? {} : { ttlMs }), value });
}

/** What somebody else wrote there reads as undefined: it is there, with the version of its object, and nothing that anyone can use. */
export function readCell(text: string, objectRevision: number): Cell {
  try {
    const { version, ttlMs, value } = JSON.parse(text) as { version?: unknown; ttlMs?: unknown; value?: unknown };
    if (isCount(version) && (ttlMs === undefined || isCount(ttlMs)))
      return { version, value, ...(ttlMs === undefined ? {} : { ttlMs }) };
  } catch {
    // Below.
  }
  return { version: objectRevision, value: undefined };
}

export function toVersioned({ value, version }: Cell): Versioned {
  return { value, version };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
