import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ProxySettings } from './proxy-settings.ts';

let folder: string;
let config: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-proxy-'));
  config = join(folder, 'proxy.yaml');
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(text: string): ProxySettings {
  writeFileSync(config, text);
  return new ProxySettings({ config });
}

/** The message of the refusal. */
function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
  throw new Error('it was accepted');
}

test('from the command line alone', () => {
  const settings = new ProxySettings({ servers: '10.0.0.1:5432,[::1]:5433', user: 'watcher', listen: '0.0.0.0:7000' }).read();
  expect(settings).toMatchObject({
    listen: { host: '0.0.0.0', port: 7000 },
    source: { kind: 'servers', servers: ['10.0.0.1:5432', '[::1]:5433'], user: 'watcher', askEveryMs: 200, connectMs: 500 },
    limits: { clients: 10_000 },
    log: { level: 'info' },
  });
  expect(settings.metrics).toBeUndefined();
});

test('the command line wins over the file, the file over the cluster, the cluster over the defaults', () => {
  writeFileSync(
    config,
    'source: { kind: servers, servers: ["a:1"], user: x, askEveryMs: 1s }\nlimits: { clients: 5 }\nlisten: { port: 6433 }\n',
  );
  const settings = new ProxySettings({ config, user: 'y', listen: '[::1]:7000' });
  expect(settings.read()).toMatchObject({
    source: { user: 'y', servers: ['a:1'], askEveryMs: 1000 },
    listen: { host: '::1', port: 7000 },
    limits: { clients: 5, serversPerPool: 20 },
  });
  const shared = settings.share({ limits: { clients: 9, serversPerPool: 3 }, timeouts: { holdMs: 100 } });
  expect(shared).toMatchObject({ limits: { clients: 5, serversPerPool: 3 }, timeouts: { holdMs: 100, connectMs: 500 } });
  expect(settings.read().limits.serversPerPool).toBe(3);
  expect(settings.share({}).limits.serversPerPool).toBe(20);
});

test.each([
  [
    'source: { kind: servers, servers: ["a:1"], user: x }\nlimits:\n  client: 5\n',
    'line 3: limits.client is no setting; did you mean clients?',
  ],
  ['source: { kind: servers, servers: ["a"], user: x }\n', 'line 1: source.servers.0: must be HOST:PORT'],
  ['source: { kind: servers, servers: ["a:99999"], user: x }\n', 'source.servers.0: has no port'],
  ['source: { kind: cluster, dir: here }\n', 'source.dir: must be an absolute path'],
  ['source: { kind: cluster, dir: /x }\ntls:\n  mode: require\n', 'line 3: tls.mode: `require` takes `certificateFile`'],
  ['source: { kind: cluster, dir: /x }\ntls:\n  keyFile: /x\n', 'tls.certificateFile: and `keyFile` go together'],
  [
    'source: { kind: servers, servers: ["a:1"], user: x, tls: { mode: verify-ca } }\n',
    'source.tls.mode: `verify-ca` takes `caFile`',
  ],
  ['limits: { clients: 5 }\n', 'source: '],
  ['limits: [5]\nsource: { kind: cluster, dir: /x }\n', 'line 1: limits: '],
  ['- 5\n', 'expected object'],
])('%j is refused with its place', (text, problem) => {
  const message = refusal(() => write(text).read());
  expect(message).toContain('config.invalid: ');
  expect(message).toContain(config);
  expect(message).toContain(problem);
});

test('a file that is refused changes nothing', () => {
  const settings = write('source: { kind: cluster, dir: /x }\nlimits: { clients: 5 }\n');
  settings.read();
  writeFileSync(config, 'source: { kind: cluster');
  expect(refusal(() => settings.read())).toContain('config.malformed');
  expect(settings.share({}).limits.clients).toBe(5);
});

test.each([
  [{}, 'say where the servers are'],
  [{ agents: 'a:1', servers: 'b:1' }, 'say one of them'],
  [{ dir: '/x', listen: '6432' }, '--listen 6432'],
])('%j is no command line', (given, problem) => {
  expect(refusal(() => new ProxySettings(given).read())).toContain(problem);
});
