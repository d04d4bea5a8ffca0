import { describe, expect, test } from 'vitest';
import { hunt, MUTATIONS } from './mutations.ts';

/** Several times what the rarest of them, `detachAgain`, needed when it was written (700). */
const SEEDS_MAX = 2000;

describe('whatever is wrong is caught', { timeout: 120_000 }, () => {
  test.each(MUTATIONS)('$name', (mutation) => {
    const caught = hunt(mutation, SEEDS_MAX);
    expect(caught, `nothing was noticed in ${SEEDS_MAX} seeds`).not.toBeNull();
    expect(caught?.sound.violation, `seed ${caught?.seed} fails with nothing wrong, too`).toBeNull();
  });
});
