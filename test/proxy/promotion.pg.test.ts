// Servers without agents: somebody stops the primary and promotes the standby, as pg_ctl does it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestServers } from '#adapters/postgres/testing/test-cluster.ts';
import { BIN, SECRETS, type TestServer } from '#adapters/postgres/testing/test-server.ts';
import { runTool } from '#adapters/postgres/tool.ts';
import { ProxyProcess } from '../support/proxy-process.ts';
import { SessionCrowd } from '../support/session-crowd.ts';

let servers: TestServers;
let n1: TestServer;
let n2: TestServer;
let proxy: ProxyProcess;

beforeAll(async () => {
  servers = await TestServers.open();
  n1 = await servers.primary('n1');
  [n2] = (await servers.standbys(n1, ['n2'])) as [TestServer];
  await n1.sql("create role app login password 'app-secret'");
  await n1.sql(SessionCrowd.tableFor('app'));
  await n1.do({ kind: 'setSync', setting: { sync: [n2.incarnation], k: 1 }, wait: true });
  const { folder } = servers;
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const source = {
    kind: 'servers',
    servers: [n1, n2].map(({ options }) => `127.0.0.1:${options.port}`),
    user: SECRETS.superuser.name,
    passwordFile: file('password', SECRETS.superuser.password),
    tls: { mode: 'verify-ca', caFile: file('ca.crt', n1.options.tls.ca) },
    askEveryMs: 50,
  };
  proxy = await ProxyProcess.start(source, { user: 'app', password: 'app-secret', database: 'postgres' });
});
afterAll(async () => {
  await proxy?.end();
  await servers?.end();
});

async function pgCtl(server: TestServer, ...args: readonly string[]): Promise<void> {
  const { dataDir } = server.layout;
  const owner = server.options.runAs;
  const ran = await runTool({ program: join(BIN, 'pg_ctl'), args: [...args, '-w', '-D', dataDir], owner, cwd: dataDir });
  if (ran.code !== 0) throw new Error(`pg_ctl ${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
}

test('readers see nothing, writers an error that says what is known, and all stay connected', async () => {
  const habits = (['auto', 'auto', 'block', 'block', 'batch', 'read', 'read', 'readPrepared', 'readPrepared'] as const).slice();
  const crowd = await SessionCrowd.start('p', () => proxy.connect(), habits);
  await pgCtl(n1, 'stop', '-m', 'fast');
  await pgCtl(n2, 'promote');
  await n2.do({ kind: 'setSync', setting: { sync: [], k: 0 }, wait: false });
  await crowd.advance(20);
  await crowd.stop();
  expect(await crowd.wrongs()).toEqual([]);
  for (const error of crowd.errors) expect(error).toMatch(/^\S+ (auto|batch): 08007 |^\S+ block: (40001|08007) /);
  await crowd.end();
});
