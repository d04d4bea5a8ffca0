import { parentPort } from 'node:worker_threads';
import { optionsOf } from './options.ts';
import { Run } from './run.ts';
import { addOutcome, emptyTally } from './tally.ts';

/** A stretch of seeds to run, and what it came to. */
export interface Stretch {
  readonly from: number;
  readonly count: number;
}

parentPort?.on('message', ({ from, count }: Stretch) => {
  const tally = emptyTally();
  for (let seed = from; seed < from + count; seed++) addOutcome(tally, new Run(optionsOf(seed)).bySeed());
  parentPort?.postMessage(tally);
});
