import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { VERSION } from '#programs/cli/version.ts';
import { bundle } from './bundle.ts';

const run = promisify(execFile);

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-bundle-'));
  await bundle(folder);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const lib = () => join(folder, 'lib');
const scripts = () => readdirSync(lib()).filter((name) => name.endsWith('.js'));

test('a bundle runs without the sources', { timeout: 60_000 }, async () => {
  const { stdout } = await run(process.execPath, [join(lib(), 'cli-main.js'), '--version']);
  expect(stdout.trim()).toBe(VERSION);
});

test('every program that another one starts is in it, by the name that it is looked for', () => {
  const started = scripts().flatMap((name) => [...readFileSync(join(lib(), name), 'utf8').matchAll(ENTRY)]);
  const names = started.map(
    ([, path = '']) =>
      `${path
        .split('/')
        .filter((part) => !part.startsWith('.'))
        .join('-')}.js`,
  );
  expect(names).toContain('guard-main.js');
  expect(names).toContain('agent-main.js');
  expect(scripts()).toEqual(expect.arrayContaining([...new Set(names)]));
});

test('nothing in it looks for a file of the sources', () => {
  const left = scripts().filter((name) =>
    /import\.meta\.resolve|["'`]#(programs|adapters|domain|core)\//.test(readFileSync(join(lib(), name), 'utf8')),
  );
  expect(left).toEqual([]);
});

/** A call of `entryFile`, whatever the bundler has called it. */
const ENTRY = /\w+\(import\.meta\.url,"([^"]+)"\)/g;
