import { formatLsn, type Lsn, parseLsn } from '#domain/lsn.ts';
import type { Lineage, Position, Timeline } from '#domain/position.ts';

/** The content of a placeholder: it only occupies a number, so that a promotion takes the one that the claim reserved. */
export const PLACEHOLDER = '# reserved by Matriarch\n';

/**
 * Reads a timeline history file (src/backend/access/transam/timeline.c): one line an ancestor, its number, the LSN at which it
 * ended, and a reason. Undefined for a placeholder, and for what is none: neither says anything about a lineage.
 */
export function parseHistory(text: string): Lineage | undefined {
  const lineage: { timeline: Timeline; end: Lsn }[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const [number, lsn] = line.trim().split(/\s+/);
    const timeline = Number(number);
    const end = parseLsn(lsn ?? '');
    if (!Number.isInteger(timeline) || end === undefined) return undefined;
    lineage.push({ timeline, end });
  }
  return lineage.length === 0 ? undefined : lineage;
}

/** The content of the history file of a timeline with these ancestors. */
export function formatHistory(lineage: Lineage): string {
  return lineage.map(({ timeline, end }) => `${timeline}\t${formatLsn(end)}\tpassed on by Matriarch\n`).join('');
}

function hex(number: number): string {
  return number.toString(16).toUpperCase().padStart(8, '0');
}

export function historyName(timeline: Timeline): string {
  return `${hex(timeline)}.history`;
}

/** The timeline that a history file's name stands for. */
export function historyTimeline(name: string): Timeline | undefined {
  return /^[0-9A-F]{8}\.history$/.test(name) ? Number.parseInt(name.slice(0, 8), 16) : undefined;
}

/** The name of the segment that holds the byte at `lsn` (manual, section 30.6). */
export function segmentName(timeline: Timeline, lsn: Lsn, segmentBytes: number): string {
  const number = lsn / BigInt(segmentBytes);
  const perFile = 0x1_0000_0000n / BigInt(segmentBytes);
  return `${hex(timeline)}${hex(Number(number / perFile))}${hex(Number(number % perFile))}`;
}

/** Timeline and first byte of a segment, by its name. */
export function parseSegmentName(
  name: string,
  segmentBytes: number,
): { readonly timeline: Timeline; readonly start: Lsn } | undefined {
  if (!/^[0-9A-F]{24}$/.test(name)) return undefined;
  const part = (from: number) => Number.parseInt(name.slice(from, from + 8), 16);
  const perFile = 0x1_0000_0000n / BigInt(segmentBytes);
  return { timeline: part(0), start: (BigInt(part(8)) * perFile + BigInt(part(16))) * BigInt(segmentBytes) };
}

/**
 * On which timeline a log that follows `timeline` was written just before `lsn`. At a switch point exactly it is still the parent:
 * nothing of the child is there yet.
 */
export function timelineBefore(lsn: Lsn, timeline: Timeline, lineage: Lineage): Timeline {
  return lineage.find((ancestor) => lsn <= ancestor.end)?.timeline ?? timeline;
}

/** The part of a lineage that led to `timeline`. */
export function lineageOf(timeline: Timeline, lineage: Lineage): Lineage {
  return lineage.filter((ancestor) => ancestor.timeline < timeline);
}

/**
 * Where two logs part: the last position that both have. Null when the old one is wholly part of the new one (and when both are on one
 * timeline, where the numbers cannot tell).
 */
export function forkOf(old: Position, oldLineage: Lineage, timeline: Timeline, lineage: Lineage): Position | null {
  const walked = [...oldLineage, { timeline: old.timeline, end: old.lsn }].reverse();
  for (const { timeline: number, end } of walked) {
    const other = number === timeline ? end : lineage.find((ancestor) => ancestor.timeline === number)?.end;
    if (other === undefined) continue;
    const oldEndsFirst = end <= other;
    if (oldEndsFirst && number === old.timeline) return null;
    return { timeline: number, lsn: oldEndsFirst ? end : other };
  }
  return { timeline: 0, lsn: 0n };
}
