import { rename } from 'node:fs/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Haproxy } from '../support/haproxy.ts';
import { NumberedWriter, readUrl } from '../support/numbered-writer.ts';
import { freePorts, PatroniPorts } from '../support/patroni-ports.ts';
import { signal, TestCluster } from '../support/test-cluster.ts';

// A cluster behind Debian's HAProxy with the example of the documentation, asked and changed as scripts for Patroni do it.

const NAMES = ['n1', 'n2', 'n3'];
/** Answers by HTTPS, the others by HTTP. */
const SECURE = 'n3';
const WAIT_MS = 30_000;

let cluster: TestCluster;
let haproxy: Haproxy;
let writePort: number;
let readPort: number;
const patroni = new PatroniPorts();

beforeAll(async () => {
  cluster = await TestCluster.start({ prepare: (paths) => patroni.give(paths, NAMES, [SECURE]) });
  [writePort = 0, readPort = 0] = await freePorts(2);
  const members = NAMES.map((name) => ({
    name,
    port: cluster.port(name),
    checkPort: patroni.of(name),
    ...(name === SECURE ? { caFile: cluster.paths.ca } : {}),
  }));
  haproxy = await Haproxy.start(cluster.paths.dir, members, writePort, readPort);
});
beforeEach(async () => {
  await cluster.healthy(60_000);
});
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(haproxy.said);
});
afterAll(async () => {
  await haproxy?.stop();
  await cluster?.destroy();
});

const urlBy = (port: number) => cluster.urls.direct.replace(/@[^/]+\//, `@127.0.0.1:${port}/`);

/** The name of the member whose server answers on a port of HAProxy; undefined when none does. */
async function whoAnswers(port: number): Promise<string | undefined> {
  const client = new Client({ ...readUrl(urlBy(port)).config, host: '127.0.0.1', port, connectionTimeoutMillis: 2000 });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ port: string }>("select current_setting('port') as port");
    return NAMES.find((name) => String(cluster.port(name)) === rows[0]?.port);
  } catch {
    return undefined;
  } finally {
    await client.end().catch(() => {});
  }
}

async function untilProxied(primary: string): Promise<void> {
  await cluster.until(
    `HAProxy with ${primary} as the primary`,
    async () => (await whoAnswers(writePort)) === primary || undefined,
    WAIT_MS,
  );
}

/** Rows are written through HAProxy all the while, go on after `change`, and none that was acknowledged is missing. */
async function whileWriting(change: (primary: string) => Promise<void>): Promise<{ before: string; after: string }> {
  const before = await cluster.leader();
  await untilProxied(before);
  const writer = new NumberedWriter(urlBy(writePort), `h${performance.now()}`);
  writer.start();
  try {
    await writer.advance(20, WAIT_MS);
    await change(before);
    await writer.advance(20, WAIT_MS);
  } finally {
    await writer.stop();
  }
  const client = await cluster.connect();
  try {
    expect(await writer.missing(client)).toEqual([]);
  } finally {
    await client.end();
  }
  return { before, after: await cluster.leader() };
}

test('one member answers as the primary, the others as replicas', async () => {
  const primary = await cluster.leader();
  const [standby = ''] = cluster.standbys(primary);
  const leads = ['/', '/primary', '/master', '/read-write', '/leader', '/read-only', '/read-only-quorum', '/readiness'];
  const follows = ['/replica', '/replica?lag=16MB&replication_state=streaming', '/sync', '/quorum', '/read-only'].concat([
    '/read-only-quorum',
    '/readiness',
  ]);
  const neither = ['/standby-leader', '/async', '/nothing', '/replica?tag_nofailover=true'];
  const all = [...new Set([...leads, ...follows, ...neither, '/health', '/liveness'])].sort();
  const open = async (name: string) => {
    const codes = await Promise.all(all.map((path) => patroni.status(name, path)));
    expect(new Set(codes)).toEqual(new Set([200, 503]));
    return all.filter((_, index) => codes[index] === 200).join(' ');
  };
  // What a standby says of the sync set it has heard from the store, a moment after the leader wrote it.
  for (const [name, paths] of [
    [primary, leads],
    [standby, follows],
  ] as const) {
    const wanted = [...paths, '/health', '/liveness'].sort().join(' ');
    let seen = '';
    const look = async () => {
      seen = await open(name);
      return seen === wanted || undefined;
    };
    await cluster.until(`the checks of ${name}`, look, WAIT_MS).catch(() => expect(seen).toBe(wanted));
  }
});

test('tells of the servers as Patroni does', async () => {
  const primary = await cluster.leader();
  const [standby = ''] = cluster.standbys(primary);
  const of = async (name: string, path: string) => (await patroni.call(name, 'GET', path, { anonymous: true })).json;
  const said = await of(primary, '/patroni');
  expect(said).toMatchObject({
    state: 'running',
    role: 'primary',
    server_version: expect.any(Number),
    postmaster_start_time: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00:00$/),
    xlog: { location: expect.any(Number) },
    timeline: 1,
    dcs_last_seen: expect.any(Number),
    database_system_identifier: expect.stringMatching(/^\d+$/),
    patroni: { scope: 'test', name: primary },
  });
  expect((said as { replication: unknown[] }).replication).toHaveLength(2);
  await cluster.until(
    'a standby of the sync set',
    async () => ((await of(standby, '/patroni')) as { quorum_standby?: boolean }).quorum_standby,
    WAIT_MS,
  );
  expect(await of(standby, '/patroni')).toMatchObject({
    role: 'replica',
    replication_state: 'streaming',
    quorum_standby: true,
    xlog: { received_location: expect.any(Number), replayed_location: expect.any(Number), paused: false },
  });
  for (const name of NAMES) {
    const { members } = (await of(name, '/cluster')) as {
      members: { name: string; role: string; state: string; lag?: unknown }[];
    };
    expect(members.map((member) => [member.name, member.role, member.state])).toEqual(
      NAMES.map((each) => (each === primary ? [each, 'leader', 'running'] : [each, 'quorum_standby', 'streaming'])),
    );
    expect(members.filter((member) => typeof member.lag === 'number')).toHaveLength(2);
  }
  expect(await of(standby, '/history')).toEqual([]);
});

test('writes go to the primary, reads to the standbys', async () => {
  const primary = await cluster.leader();
  await untilProxied(primary);
  const standbys = [...cluster.standbys(primary)].sort().join();
  // HAProxy takes every server for a good one until its first checks: only after them the primary is out of it.
  let readers: (string | undefined)[] = [];
  await cluster.until(
    'reads from both standbys, and from nobody else',
    async () => {
      readers = [...readers, await whoAnswers(readPort)].slice(-6);
      return (readers.length === 6 && [...new Set(readers)].sort().join() === standbys) || undefined;
    },
    WAIT_MS,
  );
});

test('writes go on after the primary was killed', async () => {
  const { before, after } = await whileWriting(async (primary) => {
    await cluster.killMember(primary);
    await cluster.successorOf(primary);
  });
  expect(after).not.toBe(before);
  cluster.startAgent(before);
  await cluster.healthy(60_000);
  await cluster.until(
    'the killed one as a replica',
    async () => (await patroni.status(before, '/replica')) === 200 || undefined,
    WAIT_MS,
  );
});

test('writes go on after a switchover that was asked of a standby', async () => {
  const { before, after } = await whileWriting(async (primary) => {
    const [asked = '', candidate = ''] = cluster.standbys(primary);
    const body = { leader: primary, candidate };
    expect(await patroni.call(asked, 'POST', '/switchover', { body, anonymous: true })).toMatchObject({ status: 401 });
    expect(await patroni.call(asked, 'POST', '/switchover', { body })).toMatchObject({
      status: 200,
      text: `Successfully switched over to "${candidate}"`,
    });
  });
  expect(after).toBe(cluster.standbys(before)[1]);
  const history = (await patroni.call(before, 'GET', '/history')).json as unknown[][];
  expect(history.at(-1)).toEqual([expect.any(Number), expect.any(Number), 'switchover', expect.any(String), after]);
});

test('a failover to somebody while a leader is there is a switchover', async () => {
  const primary = await cluster.leader();
  const [asked = '', candidate = ''] = cluster.standbys(primary);
  expect(await patroni.call(asked, 'POST', '/failover', { body: { candidate: 'n9' } })).toMatchObject({ status: 412 });
  expect(await patroni.call(asked, 'POST', '/failover', { body: { candidate } })).toMatchObject({
    status: 200,
    text: `Successfully failed over to "${candidate}"`,
  });
  expect(await cluster.leader()).toBe(candidate);
});

test('in a pause nobody takes over by himself, and a failover is carried out by the candidate that is named', async () => {
  const pause = async (asked: string, value: true | null) => {
    expect(await patroni.call(asked, 'PATCH', '/config', { body: { pause: value } })).toMatchObject({ status: 200 });
    for (const name of NAMES) await untilPaused(name, value ?? undefined);
  };
  const untilPaused = (name: string, value: true | undefined) =>
    cluster.until(
      `pause of ${name}: ${value}`,
      async () => {
        const { status, json } = await patroni.call(name, 'GET', '/patroni', { anonymous: true });
        return status === 0 || (json as { pause?: boolean }).pause === value || undefined;
      },
      WAIT_MS,
    );
  const standbys = cluster.standbys(await cluster.leader());
  try {
    // The later one by name: nobody would choose it by himself.
    const [asked = '', candidate = ''] = standbys;
    const { after } = await whileWriting(async (primary) => {
      await pause(asked, true);
      await cluster.killMember(primary);
      // While the leader may still be there, it is asked, and does not answer.
      await cluster.until(
        'the failover',
        async () => {
          const { status, text } = await patroni.call(asked, 'POST', '/failover', { body: { candidate } });
          return (status === 200 && text === `Successfully failed over to "${candidate}"`) || undefined;
        },
        WAIT_MS,
      );
    });
    expect(after).toBe(candidate);
  } finally {
    await pause(standbys[0] ?? '', null);
    cluster.startMissingAgents();
  }
});

test('a primary that was stopped and goes on is never taken for the primary again', async () => {
  const primary = await cluster.leader();
  await untilProxied(primary);
  const { agent, guard, postgres } = await cluster.pids(primary);
  const all = [agent, guard, ...postgres];
  for (const pid of all) signal(pid, 'SIGSTOP');
  let successor: string;
  try {
    successor = await cluster.successorOf(primary);
    await untilProxied(successor);
  } finally {
    for (const pid of all) signal(pid, 'SIGCONT');
  }
  const seen = new Set<number>();
  await cluster.until(
    'the stopped one as a replica',
    async () => {
      seen.add(await patroni.status(primary, '/primary'));
      return (await patroni.status(primary, '/replica')) === 200 || undefined;
    },
    60_000,
  );
  expect([...seen]).not.toContain(200);
  expect(await whoAnswers(writePort)).toBe(successor);
});

test('a primary that is cut off from everybody says so', async () => {
  const primary = await cluster.leader();
  const others = (await Promise.all(cluster.standbys(primary).map((name) => cluster.pids(name)))).flatMap(
    ({ agent, guard, postgres }) => [agent, guard, ...postgres],
  );
  await rename(cluster.paths.store, `${cluster.paths.store}.away`);
  for (const pid of others) signal(pid, 'SIGSTOP');
  try {
    await cluster.until('no primary', async () => (await patroni.status(primary, '/primary')) === 503 || undefined, WAIT_MS);
    expect(await patroni.status(primary, '/liveness')).toBe(200);
    await cluster.until('no way in', async () => (await whoAnswers(writePort)) === undefined || undefined, WAIT_MS);
  } finally {
    await rename(`${cluster.paths.store}.away`, cluster.paths.store);
    for (const pid of others) signal(pid, 'SIGCONT');
  }
  await cluster.healthy(60_000);
  await untilProxied(await cluster.leader());
});

test('PATCH /config changes a parameter of every server; what it does not name stays', async () => {
  const [asked = ''] = NAMES;
  const ours = (await cluster.get<{ config: { postgresql: object } }>(asked, '/config')).config;
  const body = { loop_wait: 5, postgresql: { use_slots: true, parameters: { work_mem: '7MB', max_connections: 123 } } };
  expect(await patroni.call(asked, 'PATCH', '/config', { body })).toMatchObject({
    status: 200,
    json: { synchronous_mode: 'quorum', postgresql: { parameters: { work_mem: '7MB' } } },
  });
  for (const name of NAMES)
    await cluster.until(
      `work_mem of ${name}`,
      async () => {
        const client = await cluster.connectTo(name);
        const { rows } = await client.query<{ work_mem: string }>('show work_mem').finally(() => client.end());
        return rows[0]?.work_mem === '7MB' || undefined;
      },
      WAIT_MS,
    );
  const after = (await cluster.get<{ config: object }>(asked, '/config')).config;
  expect(after).toEqual({
    ...ours,
    postgresql: { ...ours.postgresql, parameters: { work_mem: '7MB', max_connections: '123' } },
  });
  expect(await patroni.call(asked, 'PATCH', '/config', { body: { ttl: 1 } })).toMatchObject({
    status: 400,
    text: expect.stringContaining('config: ttl:'),
  });
});

test('a parameter that waits for a restart is shown, and POST /restart brings it into force', async () => {
  const primary = await cluster.leader();
  const [standby = ''] = cluster.standbys(primary);
  const pending = async () =>
    ((await patroni.call(standby, 'GET', '/patroni')).json as { pending_restart?: boolean }).pending_restart;
  await cluster.until('a pending restart', pending, WAIT_MS);
  expect(await patroni.call(standby, 'POST', '/restart', { body: { role: 'primary' } })).toMatchObject({ status: 503 });
  expect(await patroni.call(standby, 'POST', '/restart', { body: { schedule: '2030-01-01T00:00+00:00' } })).toMatchObject({
    status: 501,
  });
  // A standby may not have fewer connections than its primary has: the primary goes last.
  for (const name of [...cluster.standbys(primary), primary])
    expect(await patroni.call(name, 'POST', '/restart', { body: { restart_pending: true } })).toMatchObject({ status: 200 });
  await cluster.until('no pending restart', async () => (await pending()) === undefined || undefined, WAIT_MS);
  expect(await patroni.call(standby, 'POST', '/reload')).toMatchObject({ status: 202, text: 'reload scheduled' });
});

test('POST /reinitialize clones a standby anew, and nothing on the leader', async () => {
  const primary = await cluster.leader();
  const [standby = ''] = cluster.standbys(primary);
  expect(await patroni.call(primary, 'POST', '/reinitialize', { body: {} })).toMatchObject({ status: 503 });
  const before = (await cluster.status(standby))?.self.incarnation;
  expect(await patroni.call(standby, 'POST', '/reinitialize')).toMatchObject({ status: 200, text: 'reinitialize started' });
  await cluster.until(
    'a new life',
    async () => (await cluster.status(standby))?.self.incarnation !== before || undefined,
    WAIT_MS,
  );
  await cluster.healthy(60_000);
});

test('/metrics is text that Prometheus reads', async () => {
  for (const name of NAMES) {
    const { text } = await patroni.call(name, 'GET', '/metrics', { anonymous: true });
    const lines = text.trimEnd().split('\n');
    for (const line of lines)
      expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} -?\d+(\.\d+)?)$/);
    const primary = (await cluster.leader()) === name;
    expect(lines).toContain(`patroni_primary{scope="test",name="${name}"} ${primary ? 1 : 0}`);
    expect(lines).toContain(`patroni_replica{scope="test",name="${name}"} ${primary ? 0 : 1}`);
    expect(lines).toContain(`matriarch_sync_required{scope="test",name="${name}"} 1`);
  }
});
