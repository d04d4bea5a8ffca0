import type { Moment } from './fault-menu.ts';
import type { Faults } from './faults.ts';
import { cut } from './faults-of-networks.ts';
import { mayLoseVolume } from './lose-volume.ts';
import type { VirtualMember } from './member.ts';
import { tip } from './wal.ts';

/** What people ask of the cluster, and what they do behind its back. */
export function clusterFaults({ faults, someone, target }: Moment) {
  const { world, random } = faults;
  const id = (): string => world.commands.nextId();
  return {
    switchover: () => {
      const leader = random.chance(0.9) ? world.leader : someone;
      if (leader === null) return;
      const to = random.chance(0.5) ? { to: someone.name } : {};
      world.commands.give(leader, { kind: 'switchover', id: id(), ...to });
    },
    failover: () => world.commands.give(someone, { kind: 'failover', id: id(), allowDataLoss: random.chance(0.15) }),
    restart: () => world.commands.give(target, { kind: 'restart', id: id() }),
    reinit: () => world.commands.give(someone, { kind: 'reinit', id: id() }),
    shutdown: () => world.commands.give(target, { kind: 'shutdown', id: id(), handOver: random.chance(0.5) }),
    pauseCluster: () => {
      world.setConfig({ ...world.config, paused: true });
      faults.for(random.between(500, 8000), () => world.setConfig({ ...world.config, paused: false }));
    },
    reconfigure: () => reconfigure(faults),
    cancelCommits: () => target.server?.syncRep.cancelAll(),
    replayStall: () => {
      const { server } = target;
      if (server?.role !== 'standby') return;
      server.replayStalled = true;
      faults.for(random.between(500, 15_000), () => {
        server.replayStalled = false;
        server.scheduleReplay();
      });
    },
    foreignSetting: () => foreignSetting(target),
    promotedByHand: () => promoteByHand(someone),
    forget: () => forgetSomebody(faults, random.chance(0.3) ? target : someone),
  };
}

function reconfigure(faults: Faults): void {
  const { world, random } = faults;
  const able = world.members.filter((member) => !member.tags.nosync).length - 1;
  const durability = random.pick(['required', 'required', 'preferred', world.options.config.durability] as const);
  const synchronousCount = Math.max(1, Math.min(able, 1 + random.below(2)));
  world.setConfig({ ...world.config, durability, synchronousCount });
}

/** Somebody says ALTER SYSTEM SET synchronous_standby_names = ''. What is lost until it is undone is on him. */
function foreignSetting(member: VirtualMember): void {
  const { server } = member;
  if (server?.role !== 'primary' || !server.up) return;
  server.directory.setting = { sync: [], k: 0 };
  server.directory.foreignSetting = true;
  server.vouched = false;
  server.foreignChanges++;
  server.reload();
}

/** Somebody says pg_promote(): PostgreSQL takes the next number, which nobody has claimed and somebody may yet claim. */
function promoteByHand(member: VirtualMember): void {
  const { server, world } = member;
  if (server?.role !== 'standby' || !server.answers || !mayLoseVolume(world, member)) return;
  server.directory.byHand = true;
  world.scheduler.start(server.process, server.promote(tip(server.directory.log).position.timeline + 1), () => undefined);
}

/** Somebody takes a member that is out of sight for gone, rightly or not: off, cut off from some or all, or standing still. */
function forgetSomebody(faults: Faults, victim: VirtualMember): void {
  const { world, random } = faults;
  const awayMs = random.between(3000, random.chance(0.3) ? 60_000 : 15_000);
  const others = world.members.filter((member) => member !== victim);
  const nodes = others.map(({ node }) => node);
  const ways: readonly (() => void)[] = [
    () => undefined,
    () => {
      victim.powerOff();
      faults.for(awayMs, () => victim.powerOn());
    },
    () => {
      victim.killAgent();
      faults.for(awayMs, () => victim.startAgent());
    },
    () => {
      victim.pause();
      faults.for(awayMs, () => victim.resume());
    },
    () => cut(faults, [victim.node], [...nodes, world.storeNode], 'both', awayMs),
    () => cut(faults, [victim.node], nodes, 'both', awayMs),
    () => cut(faults, [victim.node], [random.pick(nodes)], 'both', awayMs),
  ];
  random.pick(ways)();
  const askedMs = random.chance(0.2) ? awayMs : random.between(0, awayMs);
  world.scheduler.after(askedMs, null, () => {
    if (faults.active) world.commands.forget(random.pick(others), victim);
  });
}
