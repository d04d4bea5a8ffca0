// The proxy on a host of its own, in front of members that the network cuts off. The applications stay connected whatever happens.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { STORE_AWAY_MS, storeAwayFor } from '../support/faults.ts';
import { Machines } from '../support/machines.ts';
import { networkFaults } from '../support/network-faults.ts';
import { ProxyProcess } from '../support/proxy-process.ts';
import { type Habit, SessionCrowd } from '../support/session-crowd.ts';

const HABITS: readonly Habit[] = [
  'auto',
  'auto',
  'block',
  'block',
  'batch',
  'batch',
  'read',
  'read',
  'readPrepared',
  'readPrepared',
];
const LOGIN = { user: 'app', password: 'app-secret', database: 'postgres' };

let machines: Machines;
let faults: ReturnType<typeof networkFaults>;
let proxies: readonly ProxyProcess[] = [];
let runs = 0;

beforeAll(async () => {
  machines = await Machines.start();
  faults = networkFaults(machines);
  const { cluster } = machines;
  await cluster.sql(`create role app login password '${LOGIN.password}'`);
  await cluster.sql(SessionCrowd.tableFor(LOGIN.user));
  proxies = await Promise.all([ProxyProcess.ofAgents(cluster, LOGIN), ProxyProcess.ofAgents(cluster, LOGIN)]);
});
beforeEach(() => machines.cluster.healthy());
afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.end()));
  await machines?.destroy();
});

async function under(happens: () => Promise<void>): Promise<readonly string[]> {
  let next = 0;
  const connect = () => (proxies[next++ % proxies.length] as ProxyProcess).connect();
  const all = await SessionCrowd.start(`r${runs++}`, connect, HABITS);
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

describe('the primary is cut off: readers see nothing, nothing acknowledged is missing, nothing rolled back is there', () => {
  it.each(['cutOff', 'cutFromCluster', 'cutFromMembers', 'deaf', 'mute', 'powerOff'] as const)('%s', async (name) => {
    const { cluster } = machines;
    const primary = await cluster.leader();
    const fault = faults[name];
    const errors = await under(() => fault.inject(cluster, primary, []));
    await fault.repair?.(cluster, primary);
    for (const error of errors) expect(error).toMatch(/^\S+ (auto|batch): 08007 |^\S+ block: (40001|08007) /);
    // The old one is back, and everybody is where the others are.
    await cluster.healthy();
    for (const proxy of proxies) expect(await proxy.sql('select pg_is_in_recovery() as standby')).toEqual([{ standby: false }]);
  });
});

describe('nothing is dropped', () => {
  it('etcd is gone for longer than the lease', async () => {
    const { cluster } = machines;
    expect(await under(() => storeAwayFor(cluster, STORE_AWAY_MS))).toEqual([]);
  });

  it('every agent is killed and started again', async () => {
    const { cluster } = machines;
    const epoch = await cluster.epoch();
    const errors = await under(async () => {
      for (const name of cluster.names) process.kill(cluster.agentPid(name), 'SIGKILL');
      for (const name of cluster.names) await cluster.restartAgent(name);
      await cluster.leader();
    });
    expect(errors).toEqual([]);
    expect(await cluster.epoch()).toBe(epoch);
  });

  it('switchovers', async () => {
    const { cluster } = machines;
    const errors = await under(async () => {
      for (let i = 0; i < 2; i++) await cluster.post(await cluster.healthy(), '/switchover');
    });
    expect(errors).toEqual([]);
  });
});
