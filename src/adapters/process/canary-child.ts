import { once } from 'node:events';
import { startCanary } from './canary.ts';

// An agent in a process of its own, for canary.pg.test.ts: starts a canary, says its pid, and waits to be killed.
const [line] = (await once(process.stdin, 'data')) as [Buffer];
const canary = startCanary({ ...JSON.parse(line.toString()), onReport: () => {}, onTrouble: () => {} });
process.stdout.write(`${canary.pid}\n`);
