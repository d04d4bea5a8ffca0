import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

test('a bundle has the libraries that are loaded on demand: certificates are made, a kubeconfig is read', {
  timeout: 60_000,
}, async () => {
  const out = join(folder, 'manifests');
  await run(process.execPath, [join(lib(), 'cli-main.js'), 'manifests', 'db', '--out', out]);
  expect(readFileSync(join(out, 'authority/secret.yaml'), 'utf8')).toContain('ca.key');
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, 'apiVersion: v1\n');
  const started = run(process.execPath, [join(lib(), 'cli-main.js'), 'operator', '--kubeconfig', kubeconfig]);
  await expect(started).rejects.toMatchObject({ stderr: expect.stringContaining('names no current context') });
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
