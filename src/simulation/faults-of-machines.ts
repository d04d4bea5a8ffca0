import type { Moment } from './fault-menu.ts';
import { loseVolume, mayLoseVolume } from './lose-volume.ts';

/** Processes, machines, clocks and disks. */
export function machineFaults(moment: Moment) {
  return { ...processFaults(moment), ...wholeMachineFaults(moment), ...diskFaults(moment) };
}

function processFaults({ faults, target }: Moment) {
  const { world, random } = faults;
  return {
    agentCrash: () => {
      target.killAgent();
      const awayMs = random.chance(0.2) ? random.between(5000, 20_000) : random.between(20, 2500);
      faults.for(awayMs, () => target.startAgent());
    },
    agentPause: () => {
      const { agent } = target;
      if (agent === null) return;
      agent.process.paused = true;
      faults.for(random.between(200, 15_000), () => world.scheduler.resume(agent.process));
    },
    serverCrash: () => target.server?.end('crash'),
    serverFreeze: () => {
      const { server } = target;
      if (server === null) return;
      server.process.paused = true;
      faults.for(random.between(200, 20_000), () => world.scheduler.resume(server.process));
    },
    postmasterStop: () => {
      const { server } = target;
      if (server === null) return;
      server.postmasterStopped = true;
      faults.for(random.between(500, 10_000), () => {
        server.postmasterStopped = false;
      });
    },
    guardCrash: () => target.killGuard(),
  };
}

function wholeMachineFaults({ faults, target }: Moment) {
  const { world, random } = faults;
  return {
    powerOff: () => {
      target.powerOff();
      faults.for(random.between(100, 15_000), () => target.powerOn());
    },
    everythingOff: () => {
      for (const member of world.members) member.powerOff();
      for (const member of world.members) faults.for(random.between(100, 5000), () => member.powerOn());
    },
    memberPause: () => {
      target.pause();
      faults.for(random.between(100, 20_000), () => target.resume());
    },
    clockJump: () => {
      // The machine is suspended; when it goes on its clock still shows the old time, and jumps a moment later.
      const ms = random.between(10, random.chance(0.3) ? 20_000 : 1500);
      target.pause();
      faults.for(ms, () => {
        target.jumpClock(-ms);
        target.resume();
        world.scheduler.after(random.between(0.1, 60), null, () => target.jumpClock(ms));
      });
    },
  };
}

function diskFaults({ faults, target }: Moment) {
  const { world, random } = faults;
  const { volume } = target;
  return {
    slowDisk: () => {
      volume.slowness = random.pick([5, 50, 300]);
      faults.for(random.between(500, 10_000), () => volume.recover());
    },
    hungDisk: () => {
      volume.hang();
      faults.for(random.between(100, 8000), () => volume.recover());
    },
    fullDisk: () => {
      volume.full = true;
      faults.for(random.between(500, 15_000), () => volume.recover());
    },
    lostVolume: () => {
      if (!mayLoseVolume(world, target)) return;
      loseVolume(world, target, random.chance(0.3));
      faults.for(random.between(200, 5000), () => target.powerOn());
    },
  };
}
