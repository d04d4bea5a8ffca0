import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeLogLines, readLogLines, renderLogLine } from './log-lines.ts';
import { plain } from './paint.ts';

test('the logs of agent and server become one story', () => {
  const at = Date.parse('2025-01-01T10:00:01.000Z');
  const agent = readLogLines('agent', [
    JSON.stringify({ level: 30, time: at, pid: 7, hostname: 'h', msg: 'promoting', rule: 'H5' }),
    JSON.stringify({ level: 40, time: at + 2000, msg: 'canary stuck' }),
  ]);
  const postgres = readLogLines('postgres', [
    '2025-01-01 10:00:02.500 UTC [9] LOG:  received promote request',
    '\tcontinued on a second line',
    '2025-01-01 12:00:04.000 +02 [9] LOG:  selected new timeline ID: 2',
  ]);
  expect(mergeLogLines([agent, postgres]).map((line) => renderLogLine(line, plain))).toEqual([
    '10:00:01.000 agent    info promoting rule=H5',
    '10:00:02.500 postgres [9] LOG:  received promote request',
    '10:00:02.500 postgres \tcontinued on a second line',
    '10:00:03.000 agent    warn canary stuck',
    '10:00:04.000 postgres [9] LOG:  selected new timeline ID: 2',
  ]);
});

test('a line that is no JSON is shown as it is', () => {
  for (const text of ['Segmentation fault', '"text"', '12', 'null', '{'])
    expect(readLogLines('agent', [text], 5)).toMatchObject([{ at: 5, source: 'agent' }]);
});

test('merging loses nothing and keeps the order of each source', () => {
  const lines = fc.array(fc.nat(50)).map((times) => times.map((at, index) => ({ at, index })));
  fc.assert(
    fc.property(lines, lines, (first, second) => {
      const a = first.map(({ at, index }) => ({ at, source: 'agent' as const, text: `a${index}` }));
      const b = second.map(({ at, index }) => ({ at, source: 'guard' as const, text: `b${index}` }));
      const merged = mergeLogLines([a, b]);
      expect(merged.filter((line) => line.source === 'agent')).toEqual(a);
      expect(merged.filter((line) => line.source === 'guard')).toEqual(b);
    }),
  );
});
