import { defineConfig } from 'vitest/config';

// Tiers by suffix: x.test.ts is pure, x.pg.test.ts starts PostgreSQL, x.cluster.test.ts starts whole clusters,
// x.machines.test.ts members as they run on machines of their own.
// One tier after the other: a whole cluster needs the machine for itself.
const exclude = ['**/node_modules/**'];
export default defineConfig({
  test: {
    reporters: ['default', './scripts/count-reporter.ts'],
    projects: [
      {
        test: {
          name: 'pure',
          include: ['**/*.test.ts'],
          exclude: [...exclude, '**/*.pg.test.ts', '**/*.cluster.test.ts', '**/*.machines.test.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'pg',
          include: ['**/*.pg.test.ts'],
          exclude,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['**/*.cluster.test.ts'],
          exclude,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'machines',
          include: ['**/*.machines.test.ts'],
          exclude,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
