import { faultUnderWrites } from '../../test/support/fault-run.ts';
import { FAULTS, type Fault } from '../../test/support/faults.ts';
import { Machines, WATCHFUL } from '../../test/support/machines.ts';
import { networkFaults } from '../../test/support/network-faults.ts';
import type { Contender } from './contender.ts';

export async function startMatriarch(): Promise<Contender> {
  const machines = await Machines.start();
  const faults: Readonly<Record<string, Fault>> = { ...FAULTS, ...networkFaults(machines) };
  return {
    name: 'matriarch',
    async run(name) {
      const fault = faults[name];
      if (fault === undefined) throw new Error(`no fault ${name}`);
      const { outageMs, errors } = await faultUnderWrites(machines.cluster, fault, WATCHFUL);
      machines.cluster.startMissingAgents();
      await machines.cluster.healthy(60_000);
      // Whoever misses an acknowledged row has thrown by now.
      return { outageMs, errors, lost: 0 };
    },
    destroy: () => machines.destroy(),
  };
}
