import { afterEach, beforeEach, describe } from 'vitest';
import { describeCompareAndSet } from './conformance/compare-and-set.ts';
import { describeDeathOfAClient } from './conformance/death-of-a-client.ts';
import { describeExpiry } from './conformance/expiry.ts';
import { describeReadsAndWrites } from './conformance/reads-and-writes.ts';
import { StoreBench, type StoreUnderTest } from './conformance/store-bench.ts';
import { describeUnavailability } from './conformance/unavailability.ts';
import { describeWatch } from './conformance/watch.ts';

/** What the cluster relies on, of whatever store: every adapter runs it. */
export function describeStore(name: string, create: () => Promise<StoreUnderTest>): void {
  describe(`${name} is a store`, () => {
    const bench = new StoreBench(create);
    beforeEach(() => bench.begin());
    afterEach(() => bench.end());
    describeReadsAndWrites(bench);
    describeCompareAndSet(bench);
    describeExpiry(bench);
    describeWatch(bench);
    describeUnavailability(bench);
    describeDeathOfAClient(bench);
  });
}
