import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DelayRelayOptions } from './delay-relay.ts';
import { TestNetwork } from './network.ts';
import { type Placement, signal, TestCluster, type TestClusterOptions } from './test-cluster.ts';

const MEMBERS = ['n1', 'n2', 'n3'] as const;
const STORE = 'etcd';
const ETCD_PORT = 2379;
const RELAY = fileURLToPath(new URL('./delay-relay.ts', import.meta.url));
const RELAY_UID = 65_534;
const FIRST_RELAY_PORT = 20_001;

export interface MachinesOptions extends Omit<TestClusterOptions, 'placement' | 'members' | 'prepare'> {
  /** Every link between two hosts: how long a byte takes, and what share of the packets is lost. */
  readonly slow?: { readonly delayMs: number; readonly loss: number };
}

/** Three members and etcd, each on a host of its own. */
export class Machines {
  readonly network: TestNetwork;
  readonly cluster: TestCluster;
  /** The host that the store is on. */
  readonly store = STORE;
  readonly #leftovers: readonly (() => unknown)[];

  static async start({ slow, ...options }: MachinesOptions = {}): Promise<Machines> {
    const leftovers: (() => unknown)[] = [];
    try {
      const network = TestNetwork.create([...MEMBERS, STORE]);
      leftovers.push(() => network.destroy());
      const placement = await startEtcd(network, leftovers);
      const prepare: TestClusterOptions['prepare'] =
        slow === undefined ? undefined : (_, description) => slowDown(network, description.members, slow, leftovers);
      const cluster = await TestCluster.start({ ...options, members: MEMBERS.length, placement, ...(prepare && { prepare }) });
      return new Machines(network, cluster, leftovers);
    } catch (error) {
      await remove(leftovers);
      throw error;
    }
  }

  private constructor(network: TestNetwork, cluster: TestCluster, leftovers: readonly (() => unknown)[]) {
    this.network = network;
    this.cluster = cluster;
    this.#leftovers = leftovers;
  }

  /** All hosts but this one. */
  othersOf(member: string): readonly string[] {
    return [...MEMBERS.filter((name) => name !== member), STORE];
  }

  async destroy(): Promise<void> {
    await this.cluster.destroy();
    await remove(this.#leftovers);
  }
}

async function remove(leftovers: readonly (() => unknown)[]): Promise<void> {
  for (const leftover of leftovers.toReversed()) await leftover();
}

/** Starts a command on a host; it ends with the machines. */
function startOn(network: TestNetwork, host: string, command: readonly string[], leftovers: (() => unknown)[]): ChildProcess {
  const [program = '', ...args] = [...network.prefix(host), ...command];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  leftovers.push(() => signal(child.pid ?? 0, 'SIGKILL'));
  return child;
}

/** One relay a host, and every connection that the host opens to another one led through it. */
async function slowDown(
  network: TestNetwork,
  members: readonly { readonly name: string; readonly host: string; readonly port: number; readonly apiPort: number }[],
  { delayMs, loss }: { readonly delayMs: number; readonly loss: number },
  leftovers: (() => unknown)[],
): Promise<void> {
  const all = [
    ...members.flatMap(({ name, host, port, apiPort }) => [
      { name, host, port },
      { name, host, port: apiPort },
    ]),
    { name: STORE, host: network.address(STORE), port: ETCD_PORT },
  ];
  for (const { name } of members) {
    const routes = all.filter((one) => one.name !== name).map((one, index) => ({ ...one, listen: FIRST_RELAY_PORT + index }));
    const options: DelayRelayOptions = { delayMs, uid: RELAY_UID, routes };
    const relay = startOn(network, name, [process.execPath, RELAY, JSON.stringify(options)], leftovers);
    if (relay.stdout !== null) await once(relay.stdout, 'data');
    for (const { host, port, listen } of routes) network.redirect(name, { address: host, port }, listen, RELAY_UID);
    network.lose(name, loss);
  }
  network.lose(STORE, loss);
}

/** TEMPORARY until the etcd adapter's own testing class lands. */
async function startEtcd(network: TestNetwork, leftovers: (() => unknown)[]): Promise<Placement> {
  const dir = await mkdtemp(join(tmpdir(), 'matriarch-etcd-'));
  leftovers.push(() => rm(dir, { recursive: true, force: true }));
  const url = `http://${network.address(STORE)}:${ETCD_PORT}`;
  const etcd = startOn(
    network,
    STORE,
    ['etcd', '--data-dir', dir, '--listen-client-urls', url, '--advertise-client-urls', url],
    leftovers,
  );
  return {
    address: (member) => network.address(member),
    prefix: (member) => network.prefix(member),
    store: process.env.SQ ? { kind: 'sqlite', file: '/tmp/sq/store.db' } : { kind: 'etcd', endpoints: [url], plaintext: true },
    async storeAway() {
      signal(etcd.pid ?? 0, 'SIGSTOP');
      return async () => signal(etcd.pid ?? 0, 'SIGCONT');
    },
  };
}
