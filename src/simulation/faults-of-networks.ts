import type { Moment } from './fault-menu.ts';
import type { Faults } from './faults.ts';

/** Partitions of every shape, and the store away. */
export function networkFaults({ faults, someone, target }: Moment) {
  const { world, random } = faults;
  return {
    storeOutage: () => {
      world.store.available = false;
      faults.for(random.between(200, 20_000), () => {
        world.store.available = true;
      });
    },
    partition: () => partition(faults, 'both'),
    oneWayPartition: () => partition(faults, 'oneWay'),
    isolateLeader: () => {
      const leader = world.leader ?? someone;
      const others = everyNode(faults).filter((node) => node !== leader.node && (random.chance(0.7) || node < world.storeNode));
      cut(faults, [leader.node], others, 'both');
    },
    storePartition: () => cut(faults, [target.node], [world.storeNode], random.chance(0.3) ? 'oneWay' : 'both'),
  };
}

function everyNode(faults: Faults): number[] {
  const { world } = faults;
  return [...world.members.map((member) => member.node), world.storeNode, world.clientNode];
}

function partition(faults: Faults, way: 'both' | 'oneWay'): void {
  const nodes = faults.random.shuffled(everyNode(faults));
  const split = 1 + faults.random.below(nodes.length - 1);
  cut(faults, nodes.slice(0, split), nodes.slice(split), way);
}

export function cut(
  faults: Faults,
  from: readonly number[],
  to: readonly number[],
  way: 'both' | 'oneWay',
  forMs = faults.random.between(100, faults.random.chance(0.3) ? 30_000 : 5000),
): void {
  const { network } = faults.world;
  const links = from.flatMap((a) => to.map((b) => [a, b] as const));
  for (const [a, b] of links) {
    network.block(a, b);
    if (way === 'both') network.block(b, a);
  }
  faults.for(forMs, () => {
    for (const [a, b] of links) {
      network.unblock(a, b);
      network.unblock(b, a);
    }
  });
}
