import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { renderDeploy } from './deploy-files.ts';

const FOLDER = join(import.meta.dirname, '..', '..', 'deploy');

test.each(Object.entries(renderDeploy()))('deploy/%s is what the code says (npm run docs)', async (path, text) => {
  expect(await readFile(join(FOLDER, path), 'utf8')).toBe(text);
});
