// Sizes and durations as people write them; inside, everything is a number of bytes or milliseconds.

const BYTES: Readonly<Record<string, number>> = { B: 1, kB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 };
const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

function parseQuantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  const factor = match === null ? undefined : units[match[2] ?? ''];
  if (match === null || factor === undefined) return undefined;
  const value = Number(match[1]) * factor;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** `16MB` → 16777216. PostgreSQL's units (B, kB, MB, GB, TB; multiples of 1024; manual, section 20.1.1). Undefined for anything else. */
export function parseBytes(text: string): number | undefined {
  return parseQuantity(text, BYTES);
}

/** `1.5s` → 1500. Units: ms, s, min, h. Undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  return parseQuantity(text, MILLISECONDS);
}

/** The largest unit that needs at most one decimal: `16MB`, `1.5GB`, `731B`. */
export function formatBytes(bytes: number): string {
  const unit = Object.entries(BYTES).findLast(([, factor]) => bytes >= factor) ?? ['B', 1];
  const value = bytes / unit[1];
  return `${Number.isInteger(value) || value >= 100 ? Math.round(value) : value.toFixed(1)}${unit[0]}`;
}

/** `200ms`, `1.5s`, `3min 20s`, `2h 5min`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)}ms`;
  if (durationMs < 60_000) return `${Math.round(durationMs / 100) / 10}s`;
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 3600) return seconds % 60 === 0 ? `${seconds / 60}min` : `${Math.floor(seconds / 60)}min ${seconds % 60}s`;
  const minutes = Math.round(durationMs / 60_000);
  return minutes % 60 === 0 ? `${minutes / 60}h` : `${Math.floor(minutes / 60)}h ${minutes % 60}min`;
}
