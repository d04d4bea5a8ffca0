import type { Faults } from './faults.ts';
import { machineFaults } from './faults-of-machines.ts';
import { networkFaults } from './faults-of-networks.ts';
import { clusterFaults } from './faults-of-people.ts';
import type { VirtualMember } from './member.ts';
import type { FaultKind } from './options.ts';

/** What the faults of one moment have at hand: anybody, and somebody who is the leader half of the time. */
export interface Moment {
  readonly faults: Faults;
  readonly someone: VirtualMember;
  readonly target: VirtualMember;
}

/** One fault, begun now. */
export function applyFault(faults: Faults, kind: FaultKind): void {
  const { world, random } = faults;
  const someone = random.pick(world.members);
  const target = random.chance(0.5) ? (world.leader ?? someone) : someone;
  const moment: Moment = { faults, someone, target };
  const menu: Readonly<Record<FaultKind, () => void>> = {
    ...machineFaults(moment),
    ...networkFaults(moment),
    ...clusterFaults(moment),
  };
  faults.note(kind, target);
  menu[kind]();
}
