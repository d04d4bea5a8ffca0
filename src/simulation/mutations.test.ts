import { describe, expect, test } from 'vitest';
import { hunt, MUTATIONS } from './mutations.ts';

/** Many times what each of them needed when it was written. */
const SEEDS_MAX = 600;

describe('whatever is wrong is caught', { timeout: 60_000 }, () => {
  test.each(MUTATIONS)('$name', (mutation) => {
    const caught = hunt(mutation, SEEDS_MAX);
    expect(caught, `nothing was noticed in ${SEEDS_MAX} seeds`).not.toBeNull();
    expect(caught?.sound.violation, `seed ${caught?.seed} fails with nothing wrong, too`).toBeNull();
  });
});
