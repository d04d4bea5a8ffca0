import { readFile, rm, writeFile } from 'node:fs/promises';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import type { ParametersInForce } from '#adapters/postgres/postgres-server.ts';
import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import type { HistoryEntry } from '#domain/leader-record.ts';
import type { Tags } from '#domain/member.ts';
import type { Explanation } from '#domain/status.ts';
import { faultUnderWrites, underWrites } from '../support/fault-run.ts';
import { FAULTS } from '../support/faults.ts';
import { signal, TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
}, 90_000);

afterEach(() => {
  cluster.startMissingAgents();
});

afterAll(async () => {
  await cluster?.destroy();
});

async function incarnation(name: string): Promise<string | undefined> {
  return (await cluster.status(name))?.self.incarnation;
}

async function oneStandby(): Promise<string> {
  return cluster.standbys(await cluster.healthy())[0] ?? '';
}

async function refusal(asked: Promise<unknown>): Promise<{ readonly code: string; readonly message: string }> {
  try {
    await asked;
  } catch (error) {
    return error as { readonly code: string; readonly message: string };
  }
  throw new Error('it was not refused');
}

describe('what people ask for', () => {
  it('restart of a standby: no statement fails, its server is a new one', async () => {
    const standby = await oneStandby();
    const { postmaster } = await cluster.pids(standby);
    const run = await underWrites(cluster, async () => {
      await cluster.post(standby, '/restart');
    });
    expect(run.errors).toEqual([]);
    await cluster.healthy();
    expect((await cluster.pids(standby)).postmaster).not.toBe(postmaster);
  });

  it('restart of the leader: in place, nobody else leads', async () => {
    const run = await underWrites(cluster, async (primary) => {
      const { postmaster } = await cluster.pids(primary);
      await cluster.post(primary, '/restart');
      expect((await cluster.pids(primary)).postmaster).not.toBe(postmaster);
    });
    expect(run.after).toBe(run.before);
    await cluster.healthy();
  });

  it('reinit of a standby clones it anew; the leader refuses', async () => {
    const standby = await oneStandby();
    const old = await incarnation(standby);
    const run = await underWrites(cluster, async () => {
      await cluster.post(standby, '/reinit');
    });
    expect(run.errors).toEqual([]);
    await cluster.until('a new incarnation', async () => ((await incarnation(standby)) === old ? undefined : true), 30_000);
    const leader = await cluster.healthy();
    expect(await refusal(cluster.post(leader, '/reinit'))).toMatchObject({ code: 'request.refused' });
  });

  it('GET /parameters tells what the server runs with, what waits for a restart, and what PostgreSQL does not take', async () => {
    const member = await oneStandby();
    const before = await cluster.get<ParametersInForce>(member, '/parameters');
    expect(before).toMatchObject({ pendingRestart: [], refused: {}, values: { max_wal_senders: expect.any(String) } });
    const change = (parameters: Readonly<Record<string, string>>) =>
      cluster.configure((config) => ({ ...config, postgresql: { ...config.postgresql, parameters } }));
    const was = (await cluster.get<{ config: ClusterConfig }>(member, '/config')).config.postgresql.parameters;
    await change({ ...was, work_mem: 'lots', max_locks_per_transaction: '80' });
    await cluster.until(
      'the server that has read them',
      async () => {
        const { pendingRestart, refused } = await cluster.get<ParametersInForce>(member, '/parameters');
        return (pendingRestart.includes('max_locks_per_transaction') && 'work_mem' in refused) || undefined;
      },
      30_000,
    );
    expect((await cluster.get<ParametersInForce>(member, '/parameters')).values.max_locks_per_transaction).toBe('64');
    // Said again, since to PostgreSQL a parameter that leaves the file waits for a restart no less than before.
    await change({ ...was, max_locks_per_transaction: '64' });
    await cluster.until(
      'the server that has read the ones of before',
      async () => {
        const { pendingRestart, refused } = await cluster.get<ParametersInForce>(member, '/parameters');
        return (pendingRestart.length === 0 && Object.keys(refused).length === 0) || undefined;
      },
      30_000,
    );
    await change(was);
  });

  it('a switchover to a member that does not exist is refused and touches nothing', async () => {
    const leader = await cluster.healthy();
    const epoch = await cluster.epoch();
    expect(await refusal(cluster.post(leader, '/switchover', { to: 'n9' }))).toMatchObject({ code: 'request.refused' });
    expect(await cluster.epoch()).toBe(epoch);
  });

  it('all are asked to end, and the store is gone: each ends, though nobody takes over', async () => {
    await cluster.healthy();
    const bringBack = await cluster.storeAway();
    const ended = cluster.names.map((name) => cluster.agentEnd(name));
    // Whether the lead was handed over is not what this is about.
    const asked = cluster.names.map((name) => cluster.post(name, '/shutdown', { handOver: true }).catch(() => {}));
    await Promise.all([...asked, ...ended]);
    await bringBack();
    cluster.startMissingAgents();
    await cluster.healthy(60_000);
  });

  it('while paused nobody takes over; after resume somebody does', async () => {
    const leader = await cluster.healthy();
    await cluster.post(leader, '/pause');
    const run = await underWrites(
      cluster,
      async (primary) => {
        await cluster.until(
          'agents that know of the pause',
          async () => (await cluster.statuses()).every(({ paused }) => paused) || undefined,
          10_000,
        );
        await cluster.killMember(primary);
        const standbys = cluster.standbys(primary);
        for (const standby of standbys) {
          await cluster.until(
            `${standby} that would stand and is paused`,
            async () => {
              const { lines } = await cluster.get<Explanation>(standby, '/explain');
              const silent = (await cluster.status(standby))?.self.state !== 'streaming';
              return (silent && lines.some(({ rule, holds }) => rule === 'pause' && !holds)) || undefined;
            },
            15_000,
          );
          expect((await cluster.status(standby))?.leader?.member).toBe(primary);
        }
        await cluster.post(standbys[0] ?? '', '/resume');
      },
      { recoverMs: 30_000 },
    );
    expect(run.after).not.toBe(run.before);
    cluster.startAgent(run.before);
    await cluster.healthy();
  });
});

describe('what people do behind its back', () => {
  /** Is what the record says in force, and nothing of ALTER SYSTEM left? */
  async function runs(client: Client, primary: string): Promise<boolean> {
    const { rows } = await client.query<{ names: string }>("select current_setting('synchronous_standby_names') names");
    const record = (await cluster.status(primary))?.leader;
    const listed = [...(rows[0]?.names ?? '').matchAll(/"([^"]+)"/g)].map((match) => match[1]).sort();
    const auto = await readFile(`${cluster.paths.member(primary).data}/postgresql.auto.conf`, 'utf8');
    return (
      rows[0]?.names.startsWith(`ANY ${record?.k} `) === true &&
      listed.join() === record?.sync.toSorted().join() &&
      !auto.includes('synchronous_standby_names')
    );
  }

  it('ALTER SYSTEM of what decides about durability is undone, and the next failover loses nothing', async () => {
    await faultUnderWrites(cluster, {
      ...FAULTS.killMember,
      async inject(_, primary, writers) {
        const client = await cluster.connectTo(primary);
        await client.query("alter system set synchronous_standby_names = ''");
        await client.query('select pg_reload_conf()');
        await cluster.until('what the record says', async () => ((await runs(client, primary)) ? true : undefined), 15_000);
        await client.end().catch(() => {});
        await Promise.all(writers.map((writer) => writer.advance(20, 10_000)));
        await FAULTS.killMember.inject(cluster, primary);
      },
    });
    await cluster.healthy();
  });

  it('pg_promote on a standby: it acknowledges nothing, is stopped, and rejoins as a new incarnation', async () => {
    const standby = await oneStandby();
    const old = await incarnation(standby);
    const run = await underWrites(cluster, async () => {
      const client = await cluster.connectTo(standby);
      await client.query('select pg_promote(false)');
      await client.end().catch(() => {});
      await cluster.until('a new incarnation', async () => ((await incarnation(standby)) === old ? undefined : true), 30_000);
    });
    expect(run.errors).toEqual([]);
    expect(run.after).toBe(run.before);
    await cluster.healthy();
  });

  it('the data directory of a standby is deleted: it is cloned', async () => {
    const standby = await oneStandby();
    const run = await underWrites(cluster, async () => {
      await cluster.killMember(standby);
      await rm(cluster.paths.member(standby).data, { recursive: true });
      cluster.startAgent(standby);
      await cluster.healthy();
    });
    expect(run.errors).toEqual([]);
  });

  it('the data directory of the primary is deleted while it is down: another one leads, it is cloned', async () => {
    const run = await underWrites(cluster, async (primary) => {
      await cluster.killMember(primary);
      await rm(cluster.paths.member(primary).data, { recursive: true });
      cluster.startAgent(primary);
      await cluster.successorOf(primary);
    });
    expect(run.after).not.toBe(run.before);
    await cluster.healthy();
  });

  it.each(['standby', 'primary'] as const)(
    'the promise of a %s is deleted: it starts a life of its own, nothing is lost',
    async (which) => {
      const leader = await cluster.healthy();
      const name = which === 'primary' ? leader : await oneStandby();
      const old = await incarnation(name);
      await underWrites(cluster, async () => {
        await cluster.killMember(name);
        await rm(cluster.paths.member(name).promise);
        cluster.startAgent(name);
        await cluster.until(
          'a new incarnation',
          async () => {
            const now = await incarnation(name);
            return now !== undefined && now !== old ? true : undefined;
          },
          30_000,
        );
      });
      await cluster.healthy();
    },
  );
});

describe('tags', () => {
  async function tag(name: string, tags: Partial<Tags>): Promise<void> {
    const file = cluster.paths.member(name).config;
    const config = parse(await readFile(file, 'utf8')) as { tags: Tags };
    await writeFile(file, stringify({ ...config, tags: { ...config.tags, ...tags } }));
    await cluster.restartAgent(name);
  }

  /** In order again, the leader has heard of the tags, and its record names who is eligible by them. */
  async function everybodyKnows(name: string, tags: Required<Pick<Tags, 'nofailover' | 'priority'>>): Promise<void> {
    await cluster.until(
      'a leader that knows of the new tags',
      async () => {
        const status = await cluster.status(await cluster.healthy());
        const known = status?.members.find((member) => member.name === name)?.tags;
        const isEligible = status?.leader?.eligible.includes(name);
        const agrees = known?.nofailover === tags.nofailover && known.priority === tags.priority;
        return agrees && isEligible === !tags.nofailover ? true : undefined;
      },
      30_000,
    );
  }

  it('nofailover never leads, priority decides among the others', async () => {
    const leader = await cluster.healthy();
    const [never = '', other = ''] = cluster.standbys(leader);
    await tag(never, { nofailover: true, priority: 100 });
    await everybodyKnows(never, { nofailover: true, priority: 100 });
    const run = await faultUnderWrites(cluster, FAULTS.killMember);
    expect(run.after).toBe(other);
    await everybodyKnows(never, { nofailover: true, priority: 100 });
    expect(await refusal(cluster.post(other, '/switchover', { to: never }))).toMatchObject({ code: 'request.refused' });
    await tag(never, { nofailover: false });
    await everybodyKnows(never, { nofailover: false, priority: 100 });
    // Its agent has just been started, and `other` may not have heard of it yet. Whoever leads next has.
    await cluster.post(other, '/switchover', { to: leader });
    expect(await cluster.healthy()).toBe(leader);
    await everybodyKnows(never, { nofailover: false, priority: 100 });
    // A switchover that names nobody takes the preferred one of those that are equally far.
    await cluster.post(leader, '/switchover');
    expect(await cluster.healthy()).toBe(never);
    await tag(never, { priority: 50 });
  });

  it('nosync is never in the sync set', async () => {
    const leader = await cluster.healthy();
    const [asynchronous = '', other = ''] = cluster.standbys(leader);
    await tag(asynchronous, { nosync: true });
    const only = await incarnation(other);
    await cluster.until(
      'a sync set without it',
      async () => {
        const sync = (await cluster.status(leader))?.leader?.sync;
        return sync?.length === 1 && sync[0] === only ? true : undefined;
      },
      20_000,
    );
    await tag(asynchronous, { nosync: false });
    await cluster.healthy();
  });
});

describe('WAL that was never acknowledged', () => {
  it.each(['pg_cancel_backend', 'pg_terminate_backend'])(
    'a commit waits for a standby, its backend meets %s, the primary is lost: not acknowledged, given up by a rewind, reported',
    async (ending) => {
      const run = await underWrites(cluster, async (primary, writers) => {
        const client = await cluster.connectTo(primary);
        // Nothing leaves the primary any more: with the walreceivers stopped, the kernel would still deliver what was sent.
        const { rows: senders } = await client.query<{ pid: number }>('select pid from pg_stat_replication');
        expect(senders.length).toBe(2);
        for (const { pid } of senders) signal(pid, 'SIGSTOP');
        const known = writers.map((writer) => writer.uncertain.length);
        const waiting = "select pid from pg_stat_activity where wait_event = 'SyncRep' and query like 'insert into numbered%'";
        await cluster.until(
          'commits that wait',
          async () => ((await client.query(waiting)).rows.length === writers.length ? true : undefined),
          15_000,
        );
        await client.query(`select ${ending}(pid) from (${waiting}) w`);
        await cluster.until(
          'clients that were told',
          async () => writers.every((writer, i) => writer.uncertain.length > (known[i] ?? 0)) || undefined,
          10_000,
        );
        await client.end();
        await cluster.killMember(primary);
        await cluster.successorOf(primary);
      });
      expect(run.after).not.toBe(run.before);
      const before = (await cluster.agentLog(run.before)).length;
      cluster.startAgent(run.before);
      await cluster.healthy();
      const since = (await cluster.agentLog(run.before)).slice(before);
      expect(since).toMatch(/"part":"divergence".*\\"method\\":\\"rewind\\"/);
    },
  );

  it('the history names every claim once, with growing epochs and timelines that are never used twice', async () => {
    const entries = await cluster.get<readonly HistoryEntry[]>(await cluster.leader(), '/history');
    const epochs = entries.map(({ epoch }) => epoch);
    expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
    const timelines = entries.filter(({ cause }) => cause !== 'reclaim').map(({ timeline }) => timeline);
    expect(timelines).toEqual([...new Set(timelines)]);
  });
});
