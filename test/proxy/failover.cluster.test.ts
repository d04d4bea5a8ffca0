// A primary is lost, stopped, or cut off, while applications work through two proxies: one by mutual TLS, one by the sockets.
import { once } from 'node:events';
import type { Client } from 'pg';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FAULTS, type Fault } from '../support/faults.ts';
import { ProxyProcess } from '../support/proxy-process.ts';
import { type Habit, SessionCrowd } from '../support/session-crowd.ts';
import { holdWriteLock } from '../support/store-lock.ts';
import { signal, TestCluster } from '../support/test-cluster.ts';

const HABITS: readonly Habit[] = [
  ...(['auto', 'auto', 'block', 'block', 'block', 'block', 'batch', 'batch'] as const),
  ...(['read', 'read', 'read', 'read', 'readPrepared', 'readPrepared', 'readPrepared', 'readPrepared'] as const),
];
const LOGIN = { user: 'app', password: 'app-secret', database: 'postgres' };

let cluster: TestCluster;
let byTls: ProxyProcess;
let bySockets: ProxyProcess;
let runs = 0;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.sql(`create role app login password '${LOGIN.password}'`);
  await cluster.sql(SessionCrowd.tableFor(LOGIN.user));
  byTls = await ProxyProcess.ofAgents(cluster, LOGIN);
  bySockets = await ProxyProcess.ofCluster(cluster, LOGIN);
});
beforeEach(async () => {
  cluster.startMissingAgents();
  await cluster.healthy();
});
afterAll(async () => {
  await Promise.all([byTls?.end(), bySockets?.end()]);
  await cluster?.destroy();
});

async function crowd(habits = HABITS): Promise<SessionCrowd> {
  let next = 0;
  return SessionCrowd.start(`r${runs++}`, () => (next++ % 2 === 0 ? byTls : bySockets).connect(), habits);
}

/** What the applications were told, after everybody has been served again. Nobody may have been disconnected, or told wrong things. */
async function under(happens: () => Promise<void>, habits?: readonly Habit[]): Promise<readonly string[]> {
  const all = await crowd(habits);
  try {
    await happens();
    await all.advance(10);
    await all.stop();
    expect(await all.wrongs()).toEqual([]);
    return all.errors;
  } finally {
    await all.end();
  }
}

async function killPrimary(): Promise<string> {
  const primary = await cluster.leader();
  await cluster.killMember(primary);
  return cluster.successorOf(primary);
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => 'done',
    (error: { readonly code?: string }) => error.code,
  );
}

describe('a primary is lost under work: readers see nothing, open transactions get 40001, commits 08007, all stay connected', () => {
  test.each(['killPostmaster', 'killBackends', 'stopPostmaster', 'stopMember', 'killMember'] as const)('%s', async (name) => {
    const primary = await cluster.leader();
    const fault: Fault['inject'] = name === 'killBackends' ? killBackends : FAULTS[name].inject;
    const errors = await under(() => fault(cluster, primary, []));
    for (const error of errors) expect(error).toMatch(/^\S+ (auto|batch): 08007 |^\S+ block: (40001|08007) /);
  });

  /** As when one of them crashes: the server ends them all, and starts again in place or elsewhere. */
  async function killBackends(): Promise<void> {
    const [row] = await byTls.sql<{ pid: number }>('select pg_backend_pid() as pid');
    signal(row?.pid ?? 0, 'SIGKILL');
    await cluster.leader();
  }
});

describe('nothing is dropped', () => {
  test('the store is locked by somebody, and then away', async () => {
    const errors = await under(async () => {
      const release = await holdWriteLock(cluster.paths.store);
      await missed();
      await release();
      const back = await cluster.storeAway();
      await missed();
      await back();
    });
    expect(errors).toEqual([]);
    async function missed(): Promise<void> {
      const look = async () => (await cluster.statuses()).find((one) => !one.storeReachable);
      await cluster.until('an agent that misses the store', look, 20_000);
    }
  });

  test('every agent hangs for less than the cluster minds', async () => {
    const pids = cluster.names.map((name) => cluster.agentPid(name));
    const all = await crowd();
    for (const pid of pids) signal(pid, 'SIGSTOP');
    try {
      await all.advance(50);
    } finally {
      for (const pid of pids) signal(pid, 'SIGCONT');
    }
    await all.stop();
    expect(await all.wrongs()).toEqual([]);
    expect(all.errors).toEqual([]);
    await all.end();
  });

  test('a proxy is killed: clients of another one notice nothing; started again, it takes part in a switchover', async () => {
    const all = await SessionCrowd.start(`r${runs++}`, () => byTls.connect(), HABITS);
    const lost = await bySockets.connect();
    const ended = new Promise<void>((resolve) => lost.on('end', () => resolve()));
    await bySockets.killAndStart();
    await ended;
    await all.stop();
    expect([...(await all.wrongs()), ...all.errors]).toEqual([]);
    await all.end();
    expect(await under(async () => void (await cluster.post(await cluster.leader(), '/switchover')))).toEqual([]);
  });
});

describe('sessions that are silent when the primary is lost', () => {
  const WAYS = ['simple', 'extended'] as const;
  const say = (way: (typeof WAYS)[number], client: Client, text: string) =>
    way === 'simple' ? client.query(text) : client.query({ name: text.replaceAll(' ', '_'), text, values: [] });
  const inside = { simple: [] as Client[], extended: [] as Client[] };
  const clients: Client[] = [];
  let [listener, keeper, pinned]: Client[] = [];
  let pinnedHears: Promise<unknown>;
  let byDriver: Promise<string | undefined>;
  const sql = () => postgres({ ...byTls.login, username: LOGIN.user, max: 1, onnotice: () => {} });
  let driver: ReturnType<typeof sql>;

  async function come(): Promise<Client> {
    const client = await byTls.connect();
    clients.push(client);
    return client;
  }

  beforeAll(async () => {
    await cluster.healthy();
    [listener, keeper, pinned] = [await come(), await come(), await come()];
    await cluster.sql('create table opened (id int); grant all on opened to app');
    await listener.query('listen news');
    await keeper.query("set search_path = 'pg_catalog'; set my.own = 'kept'");
    await keeper.query({ name: 'sum', text: 'select $1::int + 1 as sum', values: [1] });
    await keeper.query('prepare doubled as select $1::int * 2 as doubled');
    await pinned.query('create temporary table mine (id int)');
    pinnedHears = new Promise((resolve) => pinned?.on('error', resolve));
    for (const way of WAYS) {
      inside[way] = [await come(), await come(), await come()];
      for (const client of inside[way]) {
        await say(way, client, 'begin');
        await say(way, client, 'insert into opened values (1)');
      }
    }
    driver = sql();
    const opened = Promise.withResolvers<void>();
    const lost = Promise.withResolvers<void>();
    byDriver = codeOf(
      driver.begin(async (open) => {
        await open`insert into opened values (${1})`;
        opened.resolve();
        await lost.promise;
        await open`select ${2}::int`;
      }),
    );
    await opened.promise;
    // What a transaction left is read back behind its answer, and ahead of these.
    for (const client of [listener, keeper, pinned]) await client.query('select');
    await killPrimary();
    lost.resolve();
  });
  afterAll(async () => {
    await Promise.all([...clients.map((client) => client.end().catch(() => {})), driver?.end()]);
  });

  test('a temporary table ends its session with 57P01', async () => {
    expect(await pinnedHears).toMatchObject({ code: '57P01' });
  });

  test('settings and prepared statements are there', async () => {
    const settings = "select current_setting('search_path') as path, current_setting('my.own') as own";
    expect((await keeper?.query(settings))?.rows).toEqual([{ path: 'pg_catalog', own: 'kept' }]);
    const sum = await keeper?.query({ name: 'sum', text: 'select $1::int + 1 as sum', values: [41] });
    expect(sum?.rows).toEqual([{ sum: 42 }]);
    expect((await keeper?.query('execute doubled(21)'))?.rows).toEqual([{ doubled: 42 }]);
  });

  test('who listens hears what is said at the new primary', async () => {
    const heard = new Promise<unknown>((resolve) => listener?.on('notification', resolve));
    // It listens there a moment after there is a new primary; what is said before is lost, as to anybody who has to connect again.
    await cluster.until(
      'a notification at the new primary',
      async () => {
        await keeper?.query("select pg_notify('news', 'new')");
        return Promise.race([heard, listener?.query('select').then(() => undefined)]);
      },
      10_000,
    );
    expect(await heard).toMatchObject({ channel: 'news', payload: 'new' });
  });

  test.each(WAYS)('in a transaction: 40001 at the next statement, 25P02 until ROLLBACK, then it works: %s', async (way) => {
    const [one, two, three] = inside[way] as [Client, Client, Client];
    expect(await codeOf(say(way, one, 'select 1'))).toBe('40001');
    expect(await codeOf(say(way, one, 'select 1'))).toBe('25P02');
    await say(way, one, 'rollback');
    expect(await codeOf(say(way, two, 'commit'))).toBe('40001');
    if (way === 'extended') await say(way, two, 'rollback');
    expect(await codeOf(say(way, three, 'rollback'))).toBe(way === 'simple' ? 'done' : '40001');
    if (way === 'extended') await say(way, three, 'rollback');
    for (const client of [one, two, three]) {
      expect((await say(way, client, 'select count(*)::int as n from opened')).rows).toEqual([{ n: 0 }]);
      await say(way, client, 'begin');
      await say(way, client, 'commit');
    }
  });

  test('the driver postgres: its transaction fails with 40001, and its connection goes on', async () => {
    expect(await byDriver).toBe('40001');
    expect(await driver`select count(*)::int as n from opened`).toEqual([{ n: 0 }]);
  });
});

test('without any member work waits, is told so, gets 57P03, and goes on when they are back', async () => {
  const timeouts = { holdMs: '2s', waitNoticeMs: '500ms' };
  const impatient = await ProxyProcess.ofAgents(cluster, LOGIN, { timeouts });
  try {
    const [client, patient] = [await impatient.connect(), await byTls.connect()];
    await Promise.all(cluster.names.map((name) => cluster.killMember(name)));
    const noticed = once(client, 'notice');
    const told = codeOf(client.query('select 1'));
    const answer = patient.query('select pg_is_in_recovery() as standby');
    expect(await noticed).toMatchObject([{ message: 'waiting for a primary' }]);
    expect(await told).toBe('57P03');
    cluster.startMissingAgents();
    expect((await answer).rows).toEqual([{ standby: false }]);
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await Promise.all([client.end(), patient.end()]);
  } finally {
    await impatient.end();
  }
});
