import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
import { ERRORS } from '#domain/errors.ts';
import { VERSION } from '#programs/cli/version.ts';

// What no linter looks at. The lengths of files and functions, and who may import whom, are rules of biome.json.

const ROOT = join(import.meta.dirname, '..');
const FILES = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\0')
  .filter((name) => name !== '' && existsSync(join(ROOT, name)));
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');
const SOURCES = FILES.filter((name) => /^(src|test|bench|scripts)\/.*\.ts$/.test(name) && !name.endsWith('tidy.test.ts'));

function placesOf(pattern: RegExp, names: readonly string[]): string[] {
  return names.flatMap((name) =>
    read(name)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${name}:${index + 1}: ${line.trim()}`] : [])),
  );
}

test('nothing is left for later, switched off, or tried alone', () => {
  expect(placesOf(/\b(TODO|FIXME|XXX)\b|\b(test|it|describe)\.(only|skip|todo)\(/, SOURCES)).toEqual([]);
});

test('files are named as what they hold: lower case with dashes', () => {
  expect(SOURCES.filter((name) => !/^[a-z0-9/.-]+$/.test(name))).toEqual([]);
});

test('every code of the catalogue is used', () => {
  const code = SOURCES.filter((name) => !name.endsWith('.test.ts') && !name.endsWith('domain/errors.ts')).map(read);
  expect(Object.keys(ERRORS).filter((one) => !code.some((text) => text.includes(`'${one}'`)))).toEqual([]);
});

test('every code is an area and a problem, and ends its sentences', () => {
  for (const [code, { meaning, next }] of Object.entries(ERRORS)) {
    expect(code).toMatch(/^[a-z]+\.[a-z][A-Za-z]*$/);
    expect(`${meaning}|${next}`).toMatch(/^[A-Z][^|]*\.\|[A-Z].*\.$/);
  }
});

test('the version is that of package.json', () => {
  expect((JSON.parse(read('package.json')) as { version: string }).version).toBe(VERSION);
});

test('links between the documents lead somewhere', () => {
  const dead = FILES.filter((name) => name.endsWith('.md')).flatMap((name) =>
    [...read(name).matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((match) => normalize(join(dirname(name), match[1] ?? '')))
      .filter((target) => !existsSync(join(ROOT, target)))
      .map((target) => `${name} → ${target}`),
  );
  expect(dead).toEqual([]);
});
