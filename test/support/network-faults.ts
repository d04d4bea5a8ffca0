import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, STORE_AWAY_MS } from './faults.ts';
import type { Machines } from './machines.ts';

/** Faults of the network between the members, their store and their clients. */
export function networkFaults(machines: Machines) {
  const { network, cluster, store } = machines;
  /** Cuts, waits for a successor that serves, and leaves the cut as it is: it is healed when the writes go on. */
  const failsOver = (cut: (primary: string) => void): Pick<Fault, 'inject' | 'repair'> => ({
    async inject(_, primary) {
      cut(primary);
      await cluster.successorOf(primary);
    },
    async repair() {
      network.heal();
      cluster.startMissingAgents();
    },
  });
  return {
    cutOff: {
      title: 'the primary cut off from everything',
      boundMs: 3000,
      ...failsOver((primary) => network.cutOff(primary)),
    },
    cutFromCluster: {
      title: 'the primary cut off from members and store, not from clients',
      boundMs: 3000,
      ...failsOver((primary) => network.cut(primary, machines.othersOf(primary))),
    },
    cutFromMembers: {
      title: 'the primary cut off from the other members only',
      boundMs: 3000,
      ...failsOver((primary) => network.cut(primary, cluster.standbys(primary))),
    },
    deaf: {
      title: 'the primary cut off from the members in one direction: it hears nothing',
      boundMs: 3000,
      ...failsOver((primary) => network.cut(primary, cluster.standbys(primary), 'in')),
    },
    mute: {
      title: 'the primary cut off from the members in one direction: nobody hears it',
      boundMs: 3000,
      ...failsOver((primary) => network.cut(primary, cluster.standbys(primary), 'out')),
    },
    powerOff: {
      title: 'the whole member powered off: no packet says so',
      boundMs: 3000,
      async inject(_, primary) {
        network.cutOff(primary);
        await cluster.killMember(primary);
        await cluster.successorOf(primary);
      },
      async repair(_, primary) {
        network.heal();
        cluster.startAgent(primary);
      },
    },
    cutFromStore: {
      title: 'the primary cut off from the store only',
      boundMs: 0,
      async inject(_, primary) {
        network.cut(primary, [store]);
        await sleep(STORE_AWAY_MS);
      },
      async repair() {
        network.heal();
      },
    },
  } as const satisfies Readonly<Record<string, Fault>>;
}
