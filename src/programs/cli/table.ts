import { stripVTControlCharacters } from 'node:util';
import type { Paint } from './paint.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'right';
}

/** Rows below their titles, columns two blanks apart. A cell may hold colours; they take no room. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[], paint: Paint): string {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => stripVTControlCharacters(row[index] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => {
        const blanks = ' '.repeat(Math.max(0, (widths[index] ?? 0) - stripVTControlCharacters(cell).length));
        return columns[index]?.align === 'right' ? blanks + cell : cell + blanks;
      })
      .join('  ')
      .trimEnd();
  return [paint('dim', line(columns.map(({ title }) => title))), ...rows.map(line)].join('\n');
}
