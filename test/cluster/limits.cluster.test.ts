import { execFileSync, spawnSync } from 'node:child_process';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openSqliteStore } from '#adapters/store/sqlite/sqlite-store.ts';
import type { Store } from '#domain/ports/store.ts';
import { underWrites } from '../support/fault-run.ts';
import { fillDisk, smallDisk } from '../support/small-disk.ts';
import { TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;
let removeDisk: (() => void) | undefined;

const DISK_MB = 320;
/** Only root may mount, and not in every container. */
const canMount = process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0;

beforeAll(async () => {
  cluster = await TestCluster.start({
    async prepare(paths) {
      if (canMount) removeDisk = await smallDisk(paths.member('n1').memberDir, DISK_MB);
    },
  });
}, 90_000);

afterEach(() => {
  cluster.startMissingAgents();
});

afterAll(async () => {
  await cluster?.destroy(() => removeDisk?.());
});

async function oneStandby(): Promise<string> {
  return cluster.standbys(await cluster.healthy())[0] ?? '';
}

/** A client of the store beside the agents. */
async function withStore<T>(use: (store: Store) => Promise<T>): Promise<T> {
  const store = await openSqliteStore({ file: cluster.paths.store });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

async function logged(name: string, from: number, text: string): Promise<void> {
  await cluster.until(
    `${text} in the log of ${name}`,
    async () => (await cluster.agentLog(name)).slice(from).includes(text) || undefined,
    30_000,
  );
}

describe('records that somebody damaged', () => {
  it.each(['leader', 'config'])('%s: passed over and said; no statement fails; what was right before goes on', async (key) => {
    const leader = await cluster.healthy();
    const epoch = await cluster.epoch();
    const lengths = new Map(
      await Promise.all(cluster.names.map(async (name) => [name, (await cluster.agentLog(name)).length] as const)),
    );
    const run = await underWrites(cluster, async (_, writers) => {
      const good = await withStore((store) => store.get(key));
      await withStore((store) => store.put(key, { epoch: 'seven', member: ['n1'], timings: 12 }));
      for (const name of cluster.names) await logged(name, lengths.get(name) ?? 0, key);
      await Promise.all(writers.map((writer) => writer.advance(50, 10_000)));
      await withStore((store) => store.put(key, good?.value));
    });
    expect(run.errors).toEqual([]);
    expect(run.after).toBe(leader);
    expect(await cluster.epoch()).toBe(epoch);
    await cluster.post(leader, '/switchover');
    await cluster.healthy();
  });

  it('a damaged promise: its agent ends with promise.corrupt and touches nothing; its server and the others go on', async () => {
    const standby = await oneStandby();
    const file = cluster.paths.member(standby).promise;
    const good = await readFile(file, 'utf8');
    const damaged = good.replace(/"epoch":\d+/, '"epoch":0');
    const run = await underWrites(cluster, async () => {
      await writeFile(file, damaged);
      const from = (await cluster.agentLog(standby)).length;
      process.kill(cluster.agentPid(standby), 'SIGKILL');
      await cluster.agentEnd(standby);
      cluster.startAgent(standby);
      expect(await cluster.agentEnd(standby)).toBe('exit code 1');
      expect((await cluster.agentLog(standby)).slice(from)).toContain('matriarch: promise.corrupt: ');
    });
    expect(run.errors).toEqual([]);
    expect(await readFile(file, 'utf8')).toBe(damaged);
    await writeFile(file, good);
    cluster.startAgent(standby);
    await cluster.healthy();
  });
});

describe('what belongs to others is left alone', () => {
  it('another server on the port: the member says so, and comes back when the port is free', async () => {
    const standby = await oneStandby();
    await cluster.killMember(standby);
    const other = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => other.listen(cluster.port(standby), '127.0.0.1', resolve));
    cluster.startAgent(standby);
    try {
      await cluster.until(
        'a member that says why it does not start',
        async () => {
          const self = (await cluster.status(standby))?.self;
          return self?.state === 'failed' && /is in use by another program/.test(self.reason) ? true : undefined;
        },
        30_000,
      );
      expect(other.listening).toBe(true);
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
    await cluster.healthy();
  });

  it('the data directory of another cluster: not one file of it is touched', async () => {
    const standby = await oneStandby();
    const { memberDir, data } = cluster.paths.member(standby);
    await cluster.killMember(standby);
    await rename(data, `${memberDir}/own`);
    const bin = cluster.description.postgresBin;
    const asServer = process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
    const foreign = `${cluster.paths.member(standby).run}/foreign`;
    const [program = '', ...args] = [...asServer, `${bin}/initdb`, '-D', foreign, '-A', 'peer'];
    execFileSync(program, args, { stdio: 'ignore', cwd: '/' });
    await rename(foreign, data);
    const before = fingerprint(data);
    cluster.startAgent(standby);
    await cluster.until(
      'a member that says whose data these are',
      async () => (/system identifier/i.test((await cluster.status(standby))?.self.reason ?? '') ? true : undefined),
      30_000,
    );
    expect(fingerprint(data)).toBe(before);
    process.kill(cluster.agentPid(standby), 'SIGKILL');
    await cluster.agentEnd(standby);
    await rm(data, { recursive: true });
    await rename(`${memberDir}/own`, data);
    cluster.startAgent(standby);
    await cluster.healthy();
  });
});

/** Names, sizes, owners and times of all files. */
function fingerprint(dir: string): string {
  return execFileSync('find', [dir, '-printf', '%P %s %u %T@\n'], { encoding: 'utf8' });
}

describe.skipIf(!canMount)('the disk of the primary is full', () => {
  it('another member leads; the full one starts no loop, and comes back when there is room', async () => {
    const leader = await cluster.healthy();
    if (leader !== 'n1') await cluster.post(leader, '/switchover', { to: 'n1' });
    const { memberDir, postgresLog } = cluster.paths.member('n1');
    let makeRoom: () => Promise<void> = async () => {};
    const from = (await readFile(postgresLog, 'utf8')).length;
    const run = await underWrites(cluster, async (primary) => {
      expect(primary).toBe('n1');
      makeRoom = await fillDisk(memberDir);
      const client = await cluster.connectTo('n1');
      // Segment after segment, until there is no room for the next one.
      await client
        .query("do $$ begin loop perform pg_logical_emit_message(true, 'fill', repeat('x', 1000000)); commit; end loop; end $$")
        .catch(() => {});
      await client.end().catch(() => {});
      await cluster.successorOf('n1');
    });
    expect(run.after).not.toBe('n1');
    // The others go on without it, and it does not try again and again.
    await underWrites(
      cluster,
      async (_, writers) => {
        await Promise.all(writers.map((writer) => writer.advance(200, 30_000)));
      },
      { members: ['n2', 'n3'] },
    );
    const starts = (await readFile(postgresLog, 'utf8')).slice(from).match(/starting PostgreSQL/g)?.length ?? 0;
    expect(starts).toBeLessThan(10);
    await makeRoom();
    await cluster.healthy(60_000);
  });
});
