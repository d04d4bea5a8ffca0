import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { renderReference } from './reference.ts';

const FOLDER = join(import.meta.dirname, '..', '..', 'docs', 'reference');

test.each(Object.entries(renderReference()))('docs/reference/%s is what the code says (npm run docs)', async (name, text) => {
  expect(await readFile(join(FOLDER, name), 'utf8')).toBe(text);
});
