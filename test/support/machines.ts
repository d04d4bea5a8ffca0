import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { EtcdCluster } from '#adapters/store/etcd/testing/etcd-cluster.ts';
import type { DelayRelayOptions } from './delay-relay.ts';
import { TestNetwork } from './network.ts';
import type { WriterOptions } from './numbered-writer.ts';
import { type Placement, signal, TestCluster, type TestClusterOptions } from './test-cluster.ts';

/** As an application sets it that does not want to wait for a host that is gone (`tcp_user_timeout`, `statement_timeout`). */
export const STATEMENT_TIMEOUT_MS = 1000;
/** For a measurement. */
export const WATCHFUL: WriterOptions = { statementTimeoutMs: STATEMENT_TIMEOUT_MS, pauseMs: 0, retryMs: 50 };

const MEMBERS = ['n1', 'n2', 'n3'] as const;
const STORE = 'etcd';
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
      const { placement, port } = await startEtcd(network, leftovers);
      const prepare: TestClusterOptions['prepare'] =
        slow === undefined
          ? undefined
          : (_, { members }) =>
              slowDown(network, [...members, { name: STORE, host: network.address(STORE), port }], slow, leftovers);
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
  hosts: readonly { readonly name: string; readonly host: string; readonly port: number; readonly apiPort?: number }[],
  { delayMs, loss }: { readonly delayMs: number; readonly loss: number },
  leftovers: (() => unknown)[],
): Promise<void> {
  const all = hosts.flatMap(({ name, host, port, apiPort }) =>
    [port, apiPort].flatMap((one) => (one === undefined ? [] : [{ name, host, port: one }])),
  );
  for (const { name } of hosts) {
    const routes = all.filter((one) => one.name !== name).map((one, index) => ({ ...one, listen: FIRST_RELAY_PORT + index }));
    const options: DelayRelayOptions = { delayMs, uid: RELAY_UID, routes };
    const relay = startOn(network, name, [process.execPath, RELAY, JSON.stringify(options)], leftovers);
    if (relay.stdout !== null) await once(relay.stdout, 'data');
    for (const { host, port, listen } of routes) network.redirect(name, { address: host, port }, listen, RELAY_UID);
    network.lose(name, loss);
  }
}

/** With TLS, as it would be beyond one machine. */
async function startEtcd(
  network: TestNetwork,
  leftovers: (() => unknown)[],
): Promise<{ readonly placement: Placement; readonly port: number }> {
  const etcd = await EtcdCluster.start({
    places: [{ host: network.address(STORE), namespace: network.space(STORE) }],
    tls: { clients: false },
  });
  leftovers.push(() => etcd.remove());
  const placement: Placement = {
    address: (member) => network.address(member),
    prefix: (member) => network.prefix(member),
    store: {
      kind: 'etcd',
      endpoints: etcd.endpoints,
      plaintext: false,
      ...(etcd.clientFiles === undefined ? {} : { caFile: etcd.clientFiles.caFile }),
    },
    async storeAway() {
      await etcd.killAll();
      return () => etcd.startAll();
    },
  };
  return { placement, port: Number(new URL(etcd.member(0).clientUrl).port) };
}
