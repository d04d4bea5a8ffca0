import type { Paint } from './paint.ts';

export type LogSource = 'agent' | 'postgres' | 'guard' | 'proxy';

export interface LogLine {
  /** Milliseconds since 1970; a line without a time of its own has that of the line before. */
  readonly at: number;
  readonly source: LogSource;
  readonly text: string;
}

const LEVELS: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };
const POSTGRES_TIME = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) (UTC|GMT|[+-]\d\d) /;

/** One JSON object a line, as pino writes them; anything else is passed through. */
function readAgentLine(text: string): { readonly at?: number; readonly text: string } {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { text };
  }
  if (typeof entry !== 'object' || entry === null) return { text };
  const { time, level, msg, pid: _pid, hostname: _hostname, name: _name, v: _v, ...fields } = entry;
  const rest = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const at = typeof time === 'number' ? time : Date.parse(String(time));
  const words = [LEVELS[Number(level)] ?? String(level ?? ''), String(msg ?? ''), ...rest].filter((word) => word !== '');
  return { ...(Number.isNaN(at) ? {} : { at }), text: words.join(' ') };
}

function readPostgresLine(text: string): { readonly at?: number; readonly text: string } {
  const match = POSTGRES_TIME.exec(text);
  if (match === null) return { text };
  const zone = match[2] === 'UTC' || match[2] === 'GMT' ? 'Z' : `${match[2]}:00`;
  const at = Date.parse(`${match[1]?.replace(' ', 'T')}${zone}`);
  return Number.isNaN(at) ? { text } : { at, text: text.slice(match[0].length) };
}

/** Reads the lines of one file in their order. `before`: the time for lines that come before any with one. */
export function readLogLines(source: LogSource, lines: readonly string[], before = 0): LogLine[] {
  let at = before;
  return lines.map((line) => {
    const read = source === 'postgres' ? readPostgresLine(line) : readAgentLine(line);
    at = read.at ?? at;
    return { at, source, text: read.text };
  });
}

/** All sources as one story. Lines of one source keep their order even where its clock went back. */
export function mergeLogLines(sources: readonly (readonly LogLine[])[]): LogLine[] {
  const rest = sources.map((lines) => ({ lines, next: 0 }));
  const merged: LogLine[] = [];
  for (;;) {
    let earliest: { readonly lines: readonly LogLine[]; next: number } | undefined;
    for (const source of rest) {
      const line = source.lines[source.next];
      if (line === undefined) continue;
      const best = earliest?.lines[earliest.next];
      if (best === undefined || line.at < best.at) earliest = source;
    }
    const line = earliest?.lines[earliest.next];
    if (earliest === undefined || line === undefined) return merged;
    merged.push(line);
    earliest.next++;
  }
}

export function renderLogLine(line: LogLine, paint: Paint): string {
  const time = line.at === 0 ? '' : `${new Date(line.at).toISOString().slice(11, 23)} `;
  const style = line.source === 'agent' ? 'cyan' : line.source === 'guard' ? 'magenta' : 'blue';
  return `${paint('dim', time)}${paint(style, line.source.padEnd(8))} ${line.text}`;
}
