import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { manifests } from './manifests.ts';

let folder: string;
let out: string;
const DEFAULTS = { image: 'example/matriarch:1', kubernetes: '1.32' };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-manifests-'));
  out = join(folder, 'main');
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const files = () =>
  readdirSync(out, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.yaml'))
    .sort();
const text = (path: string) => readFileSync(join(out, path), 'utf8');

test('what is secret is readable by its owner alone, and no namespace is named', async () => {
  await manifests('main', { ...DEFAULTS, out });
  expect(statSync(out).mode & 0o777).toBe(0o700);
  for (const path of files()) {
    expect(statSync(join(out, path)).mode & 0o777, path).toBe(text(path).includes('kind: Secret') ? 0o600 : 0o644);
    expect(text(path), path).not.toMatch(/^ {2}namespace:/m);
  }
});

test('again with other options: the secrets stay, and what is asked for no more is gone', async () => {
  await manifests('main', { ...DEFAULTS, out, nodePort: 32000, namespace: 'database' });
  const [passwords, authority] = [text('postgresql/10-secrets.yaml'), text('authority/secret.yaml')];
  expect(files()).toEqual(expect.arrayContaining(['proxy/41-service-nodeport.yaml', 'postgresql/00-namespace.yaml']));
  await manifests('main', { ...DEFAULTS, out, namespace: 'database', instances: 5 });
  expect([text('postgresql/10-secrets.yaml'), text('authority/secret.yaml')]).toEqual([passwords, authority]);
  expect(files()).not.toContain('proxy/41-service-nodeport.yaml');
  expect(text('postgresql/60-statefulset.yaml')).toContain('replicas: 5');
});

test('before Kubernetes 1.21 its budgets have another version', async () => {
  await manifests('main', { ...DEFAULTS, out, kubernetes: '1.20' });
  expect(text('postgresql/50-poddisruptionbudget.yaml')).toContain('policy/v1beta1');
});

test.each([
  ['roles', 'only the operator keeps them'],
  ['databases', 'only the operator keeps them'],
])('%s of a spec are refused: nobody would keep them', async (field, message) => {
  const file = join(folder, 'spec.yaml');
  writeFileSync(file, `spec:\n  ${field}: [{ name: app }]\n`);
  await expect(manifests('main', { ...DEFAULTS, out, spec: file })).rejects.toThrow(message);
});

test('a folder with something else in it is left alone', async () => {
  mkdirSync(join(out, 'mine'), { recursive: true });
  await expect(manifests('main', { ...DEFAULTS, out })).rejects.toMatchObject({ code: 'cluster.foreignFolder' });
  expect(readdirSync(out)).toEqual(['mine']);
});
