import { afterAll, afterEach, beforeAll } from 'vitest';
import { describeFaultTable } from '../support/fault-table.ts';
import { Machines } from '../support/machines.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await Machines.start();
}, 90_000);

afterEach(() => machines.cluster.startMissingAgents());

afterAll(() => machines?.destroy());

describeFaultTable(() => machines.cluster);
