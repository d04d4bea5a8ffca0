import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { callApi } from '#adapters/http/call-api.ts';
import type { AgentTarget } from '#adapters/proxy-link/agent-link.ts';
import { type AgentTopology, openAgentTopology } from '#adapters/proxy-link/agent-topology.ts';
import { readProxyTls } from '#adapters/tls/proxy-files.ts';
import type { TlsIdentity } from '#adapters/tls/tls-files.ts';
import type { Secrets } from '#domain/config/cluster-description.ts';
import type { TopologyView } from '#domain/ports/topology.ts';
import { signal, TestCluster } from '../support/test-cluster.ts';

// What a proxy hears from real agents. The tests build on each other.

let cluster: TestCluster;
let tls: TlsIdentity;
const open: AgentTopology[] = [];

beforeAll(async () => {
  cluster = await TestCluster.start();
  tls = (await readProxyTls(cluster.paths.proxy)).agents;
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((topology) => topology.close()));
});
afterAll(() => cluster.destroy());

const bySocket = (): AgentTarget[] => cluster.names.map((name) => ({ name, socketPath: cluster.paths.member(name).socket }));

function byTls(name: string): AgentTarget {
  const member = cluster.description.members.find((one) => one.name === name);
  return { name, host: member?.host ?? '', port: member?.apiPort ?? 0 };
}

function openTopology(agents: readonly AgentTarget[], identity: TlsIdentity | undefined = tls): AgentTopology {
  const topology = openAgentTopology({ agents, tls: () => identity, log: () => {} });
  open.push(topology);
  return topology;
}

/** Resolves with the first view that is as wanted, the present one included. */
function view(topology: AgentTopology, wanted: (view: TopologyView) => boolean): Promise<TopologyView> {
  if (wanted(topology.view)) return Promise.resolve(topology.view);
  return new Promise((resolve) => {
    const unsubscribe = topology.subscribe((next) => {
      if (!wanted(next)) return undefined;
      unsubscribe();
      resolve(next);
      return undefined;
    });
  });
}

const named = (view: TopologyView) => view.primary !== null;

test('one agent is enough to learn of all, by TLS', async () => {
  const leader = await cluster.leader();
  const topology = openTopology([byTls(cluster.standbys(leader)[0] ?? '')]);
  const found = await view(topology, named);
  expect(found).toMatchObject({ primary: { name: leader, host: '127.0.0.1', port: cluster.port(leader) }, holding: false });
  expect(found.epoch).toBe(await cluster.epoch());
  expect(found.servers.map(({ name }) => name)).toEqual(cluster.names);
  expect(topology.capacity).toEqual({ maxConnections: 100, reservedConnections: 5 });
});

test('the certificate of a proxy opens nothing that changes anything', async () => {
  const target = { ...(byTls('n1') as { name: string; host: string; port: number }), tls };
  expect((await callApi(target, 'GET', '/status')).json).toMatchObject({ self: { name: 'n1' } });
  expect((await callApi(target, 'GET', '/health')).status).toBe(200);
  for (const path of ['/switchover', '/failover', '/restart', '/reinit', '/forget', '/pause', '/resume', '/shutdown'])
    await expect(callApi(target, 'POST', path, { body: {} })).rejects.toMatchObject({ code: 'api.forbidden' });
  await expect(callApi(target, 'PUT', '/config', { body: {} })).rejects.toMatchObject({ code: 'api.forbidden' });
  for (const path of ['/config', '/explain', '/history'])
    await expect(callApi(target, 'GET', path)).rejects.toMatchObject({ code: 'api.forbidden' });
});

test('the agents know nobody by a certificate of the authority of the proxies', async () => {
  const { servers } = await readProxyTls(cluster.paths.proxy);
  const target = { ...(byTls('n1') as { name: string; host: string; port: number }), tls: { ca: tls.ca, ...servers } };
  await expect(callApi(target, 'GET', '/status')).rejects.toMatchObject({ code: 'api.forbidden' });
  const topology = openTopology([byTls('n1')], target.tls);
  await expect(topology.lookup('postgres', 'postgres', { fresh: true })).rejects.toMatchObject({ code: 'proxy.rolesUnknown' });
});

test('by the files that came with the cluster a proxy gets in as a role without a password, at every member', async () => {
  const topology = openTopology(bySocket());
  await view(topology, ({ primary, servers }) => primary !== null && servers.length === 3);
  await cluster.sql('create role bare login');
  expect(await topology.lookup('bare', 'postgres', { fresh: true })).toMatchObject({ byCertificate: true, verifier: null });
  const { agents, servers } = await readProxyTls(cluster.paths.proxy);
  for (const { host, port } of topology.view.servers) {
    const ssl = { ca: agents.ca, cert: servers.certificate, key: servers.key };
    const name = await cluster.until(
      'a login by certificate',
      async () => {
        const client = new Client({ host, port, user: 'bare', database: 'postgres', ssl });
        client.on('error', () => {});
        try {
          await client.connect();
          return (await client.query('select current_user as name')).rows[0]?.name as string;
        } catch {
          return undefined;
        } finally {
          await client.end().catch(() => {});
        }
      },
      10_000,
    );
    expect(name).toBe('bare');
  }
});

test('by the Unix sockets of the owner the socket of each server comes along', async () => {
  const topology = openTopology(bySocket(), undefined);
  const { servers } = await view(
    topology,
    ({ primary, servers }) => primary !== null && servers.every(({ socketDir }) => socketDir),
  );
  for (const { name, socketDir } of servers) expect(socketDir).toBe(cluster.paths.member(name).run);
});

test('roles and their attributes', async () => {
  const secrets = JSON.parse(await readFile(cluster.paths.secrets, 'utf8')) as Secrets;
  const topology = openTopology(bySocket());
  await view(topology, named);
  await cluster.sql(`create role app login password 'x' valid until '2030-01-01 00:00:00+00' connection limit 7`);
  await cluster.sql('create database shop connection limit 3');
  const ask = (role: string, database = 'shop') => topology.lookup(role, database, { fresh: true });
  const app = await ask('app');
  expect(app).toMatchObject({
    role: 'app',
    canLogin: true,
    superuser: false,
    replication: false,
    verifier: expect.stringMatching(/^SCRAM-SHA-256\$/),
    validUntilMs: Date.UTC(2030, 0, 1),
    connectionLimit: 7,
    database: { name: 'shop', allowsConnections: true, connectionLimit: 3, mayConnect: true },
  });
  expect(await ask('app', 'nowhere')).toMatchObject({ database: null });
  for (const role of ['nobody', secrets.agent.name, secrets.replication.name, 'app"; --']) expect(await ask(role)).toBeNull();
  expect(await ask(secrets.superuser.name)).toMatchObject({ superuser: true });

  const digests = new Set([app?.digest]);
  const changes = [
    'alter role app set work_mem = 1234',
    'alter role app in database shop set work_mem = 1235',
    'alter database shop set work_mem = 1236',
    'alter role app connection limit 8',
    'alter role all set work_mem = 1237',
  ];
  for (const change of changes) {
    await cluster.sql(change);
    digests.add((await ask('app'))?.digest);
  }
  expect(digests.size).toBe(changes.length + 1);
  // What a server connection was opened with stays good.
  await cluster.sql("alter role app password 'y'");
  digests.add((await ask('app'))?.digest);
  expect(digests.size).toBe(changes.length + 1);
  await cluster.sql('alter role all reset work_mem');
  await cluster.sql('alter role postgres set work_mem = 1238');
  const before = await ask('app');
  expect((await ask('app'))?.digest).toBe(before?.digest);

  await cluster.sql('revoke connect on database shop from public');
  expect(await ask('app')).toMatchObject({ database: { mayConnect: false } });
  await cluster.sql('create role team');
  await cluster.sql('grant connect on database shop to team');
  await cluster.sql('grant team to app');
  expect(await ask('app')).toMatchObject({ database: { mayConnect: true } });
  await cluster.sql('alter database shop allow_connections false');
  expect(await ask('app')).toMatchObject({ database: { allowsConnections: false } });
});

test('a role is known while no agent answers, unless the answer has to be fresh', async () => {
  const topology = openTopology(bySocket());
  await view(topology, named);
  const facts = await topology.lookup('app', 'postgres', { fresh: false });
  const agents = cluster.names.map((name) => cluster.agentPid(name));
  // Long enough stopped to be given up by the proxy, and too short for anybody else.
  for (const pid of agents) signal(pid, 'SIGSTOP');
  try {
    await expect(topology.lookup('app', 'postgres', { fresh: true })).rejects.toMatchObject({ code: 'proxy.rolesUnknown' });
    expect(await topology.lookup('app', 'postgres', { fresh: false })).toEqual(facts);
    await expect(topology.lookup('team', 'postgres', { fresh: false })).rejects.toMatchObject({ code: 'proxy.rolesUnknown' });
    expect(topology.view.primary).not.toBeNull();
  } finally {
    for (const pid of agents) signal(pid, 'SIGCONT');
  }
  await cluster.healthy();
});

test('a switchover waits until the proxy says that nothing runs, and no statement fails', async () => {
  const topology = openTopology(bySocket());
  const before = await view(topology, named);
  const old = before.primary?.name ?? '';
  const session = await cluster.connectTo(old);
  const drained = Promise.withResolvers<void>();
  const seen: TopologyView[] = [];
  topology.subscribe((next) => {
    seen.push(next);
    return next.holding && next.primary?.name === old ? drained.promise : undefined;
  });
  await session.query('begin');
  const switched = cluster.post(old, '/switchover');
  await view(topology, ({ holding }) => holding);
  expect(topology.view.primary?.name).toBe(old);
  await session.query("insert into numbered values ('held', 1)");
  await session.query('commit');
  // As long as the proxy has not said so, also what it starts only now is not cut.
  await session.query("insert into numbered values ('held', 2)");
  drained.resolve();
  await switched;
  const after = await view(topology, (next) => named(next) && next.epoch > before.epoch);
  expect(after).toMatchObject({ holding: false });
  expect(after.primary?.name).not.toBe(old);
  expect(seen.map(({ epoch }) => epoch)).toEqual(seen.map(({ epoch }) => epoch).toSorted((a, b) => a - b));
  expect(await cluster.sql("select from numbered where series = 'held'")).toHaveLength(2);
  await session.end().catch(() => {});
  await cluster.healthy();
});

test('a member that hands over and ends waits for the proxy', async () => {
  const topology = openTopology(bySocket());
  const before = await view(topology, named);
  const old = before.primary?.name ?? '';
  const [held, drained] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  topology.subscribe((next) => {
    if (!next.holding || next.primary?.name !== old) return undefined;
    held.resolve();
    return drained.promise;
  });
  const stopped = cluster.post(old, '/shutdown', { handOver: true });
  await held.promise;
  const session = await cluster.connectTo(old);
  await session.query("insert into numbered values ('held', 3)");
  await session.end();
  drained.resolve();
  await stopped;
  await view(topology, (next) => named(next) && next.epoch > before.epoch && !next.holding);
  expect(await cluster.sql("select from numbered where series = 'held' and number = 3")).toHaveLength(1);
  await cluster.agentEnd(old);
  cluster.startAgent(old);
  await cluster.healthy();
});

test('a restart of the primary waits for the proxy too, and the view of before comes back', async () => {
  const topology = openTopology(bySocket());
  const before = await view(topology, named);
  const name = before.primary?.name ?? '';
  const drained = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  topology.subscribe((next) => {
    if (!next.holding || next.primary === null) return undefined;
    held.resolve();
    return drained.promise;
  });
  const restarted = cluster.post(name, '/restart');
  await held.promise;
  const session = await cluster.connectTo(name);
  await session.query('select 1');
  await session.end();
  drained.resolve();
  await restarted;
  const after = await view(topology, (next) => named(next) && !next.holding);
  expect(after.primary?.name).toBe(name);
  await cluster.healthy();
});

test('a proxy that does not answer holds nothing up for longer than the drain may last', async () => {
  const topology = openTopology(bySocket());
  const before = await view(topology, named);
  topology.subscribe(({ holding }) => (holding ? new Promise(() => {}) : undefined));
  await cluster.configure((config) => ({ ...config, timings: { ...config.timings, drainTimeoutMs: 300 } }));
  await cluster.post(before.primary?.name ?? '', '/switchover');
  await view(topology, (next) => named(next) && next.epoch > before.epoch);
  await cluster.healthy();
});

test('a stopped agent of the primary changes nothing until somebody else leads', async () => {
  const topology = openTopology(bySocket());
  const before = await view(topology, named);
  const old = before.primary?.name ?? '';
  const pid = cluster.agentPid(old);
  signal(pid, 'SIGSTOP');
  try {
    const after = await view(topology, (next) => next.epoch > before.epoch && named(next));
    expect(after.primary?.name).not.toBe(old);
  } finally {
    signal(pid, 'SIGCONT');
  }
  await cluster.healthy();
});

async function expectNothingToChange(happens: (name: string) => Promise<void>): Promise<void> {
  const topology = openTopology(bySocket());
  const before = await view(topology, ({ primary, servers }) => primary !== null && servers.every(({ socketDir }) => socketDir));
  const name = before.primary?.name ?? '';
  const seen: TopologyView[] = [];
  topology.subscribe((next) => void seen.push(next));
  await happens(name);
  expect(topology.view).toBe(before);
  expect(seen).toEqual([]);
}

test('an agent of the primary that is killed and comes back changes nothing', () =>
  expectNothingToChange(async (name) => {
    await cluster.restartAgent(name);
    await cluster.healthy();
  }));

test('a store that is away changes nothing', () =>
  expectNothingToChange(async () => {
    const back = await cluster.storeAway();
    try {
      await cluster.until(
        'an agent that misses it',
        async () => (await cluster.statuses()).find((one) => !one.storeReachable),
        20_000,
      );
    } finally {
      await back();
    }
    await cluster.healthy();
  }));
