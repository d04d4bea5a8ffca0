import type { VirtualMember } from '../member.ts';
import { NO_SABOTAGE, type WorldOptions } from '../options.ts';
import type { World } from '../world.ts';

/** A script of faults: it yields milliseconds to wait, or a condition to wait for. Everything is healed when it ends. */
export type Scenario = (world: World) => Generator<number | (() => boolean), void, void>;

/** The cast that the counterexamples speak of: a leader and its two standbys. */
export function cast(world: World): readonly [VirtualMember, VirtualMember, VirtualMember] {
  const { leader } = world;
  const [b, c] = world.members.filter((member) => member !== leader);
  if (leader === null || b === undefined || c === undefined) throw new Error('three members, one of them leading');
  return [leader, b, c];
}

export function separate(world: World, from: VirtualMember, ...others: readonly VirtualMember[]): void {
  for (const other of others) {
    world.network.block(from.node, other.node);
    world.network.block(other.node, from.node);
  }
}

export function join(world: World, from: VirtualMember, ...others: readonly VirtualMember[]): void {
  for (const other of others) {
    world.network.unblock(from.node, other.node);
    world.network.unblock(other.node, from.node);
  }
}

export function separateFromStore(world: World, ...members: readonly VirtualMember[]): void {
  for (const { node } of members) {
    world.network.block(node, world.storeNode);
    world.network.block(world.storeNode, node);
  }
}

export function joinStore(world: World, ...members: readonly VirtualMember[]): void {
  for (const { node } of members) {
    world.network.unblock(node, world.storeNode);
    world.network.unblock(world.storeNode, node);
  }
}

/** Three members and nothing but what the script does. */
export function quietWorld(seed: number, durability: 'required' | 'preferred' = 'required'): WorldOptions {
  const tags = { nofailover: false, priority: 50, nosync: false, clonefrom: false };
  return {
    seed,
    members: 3,
    tags: [tags, tags, tags],
    config: {
      durability,
      synchronousCount: 1,
      timings: {
        heartbeatMs: 100,
        fenceMs: 600,
        suspectAfterMs: 800,
        leaseMs: 3000,
        promiseTimeoutMs: 1000,
        drainTimeoutMs: 1000,
        handoverTimeoutMs: 2000,
        degradeAfterMs: 3000,
        stopTimeoutMs: 2000,
      },
      maximumLagBytes: 1_048_576,
      maximumLagOnFailoverBytes: 1_048_576,
      paused: false,
    },
    promisedBeyond: 0,
    fromNothing: false,
    clients: 3,
    thinkMs: 20,
    latencyMs: 0.5,
    lossChance: 0,
    repeatChance: 0,
    stragglerChance: 0,
    driftPerMillion: 0,
    walTimeoutMs: 3000,
    lateReloadChance: 0,
    lateReloadMs: 200,
    walKept: 100_000,
    replayBytesPerMs: 20_000,
    storeSlowChance: 0,
    storeLossChance: 0,
    faults: [],
    faultEveryMs: 1000,
    faultsForMs: 0,
    crashAtEffectChance: 0,
    frozen: false,
    without: [],
    sabotage: NO_SABOTAGE,
    publishEveryMs: 10_000,
  };
}
