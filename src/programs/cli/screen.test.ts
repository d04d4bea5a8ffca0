import { expect, test } from 'vitest';
import { cut } from './screen.ts';

test('a line is cut by what is seen of it, and its colour ends', () => {
  expect(cut('\u001b[31mabcdef\u001b[39mgh', 4)).toBe('\u001b[31mabcd\u001b[39m');
  expect(cut('abc', 4)).toBe('abc');
  expect(cut('né…–x', 4)).toBe('né…–');
});
