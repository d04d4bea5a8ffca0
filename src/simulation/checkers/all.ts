import type { Checker } from './checker.ts';
import { OneWriter } from './h1-one-writer.ts';
import { NoLoss } from './h2-no-loss.ts';
import { DetachedBeforeAnswer } from './h3-detached.ts';
import { Recorded } from './h4-recorded.ts';
import { LineageKept } from './h5-lineage.ts';
import { FencedInTime } from './h6-fence.ts';
import { NoDisturbance } from './h6-no-disturbance.ts';
import { VerdictHolds } from './h8-verdict.ts';
import { RejoinInOrder } from './h9-rejoin.ts';
import { PromisesKept } from './h10-promises.ts';
import { NoSilence } from './h11-no-silence.ts';
import { NoVanishingReads } from './h12-no-vanishing-reads.ts';
import { FollowingIsPromise } from './h13-following.ts';

/** One of each, new for every run. H7 is judged when the faults have ended. */
export function allCheckers(): readonly Checker[] {
  return [
    new OneWriter(),
    new NoLoss(),
    new DetachedBeforeAnswer(),
    new Recorded(),
    new LineageKept(),
    new FencedInTime(),
    new NoDisturbance(),
    new VerdictHolds(),
    new RejoinInOrder(),
    new PromisesKept(),
    new NoSilence(),
    new NoVanishingReads(),
    new FollowingIsPromise(),
  ];
}
