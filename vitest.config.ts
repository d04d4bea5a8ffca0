import { defineConfig } from 'vitest/config';

// Tiers by suffix: x.test.ts is pure, x.pg.test.ts starts PostgreSQL, x.cluster.test.ts starts whole clusters; x.etcd.test.ts starts
// etcd and x.machines.test.ts networks of machines, which `npm run test:machines` has installed. x.kube.test.ts starts an API server of
// its own (KUBEBUILDER_ASSETS) and x.node.test.ts runs pods on the cluster of KUBECONFIG.
// One tier after the other: a whole cluster needs the machine for itself.
const exclude = ['**/node_modules/**'];
/**
 * For tiers that wait for several real servers: what a crowded machine did not bring about in time is tried once more, and the summary
 * says so. What is wrong, such as a row that is missing, is wrong at once.
 */
const retry = { count: 1, condition: /in vain|timed out|rows acknowledged/ };
export default defineConfig({
  test: {
    reporters: ['default', './scripts/count-reporter.ts'],
    projects: [
      {
        test: {
          name: 'pure',
          include: ['**/*.test.ts'],
          exclude: [...exclude, '**/*.{pg,cluster,etcd,machines,kube,node}.test.ts'],
          // Some start processes, which a crowded machine takes its time for.
          testTimeout: 30_000,
          hookTimeout: 30_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'pg',
          include: ['**/*.pg.test.ts'],
          exclude: [...exclude, 'test/proxy/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // Storms of clients: whoever else measures a time beside them measures them.
        test: {
          name: 'proxy',
          retry,
          include: ['test/proxy/**/*.pg.test.ts'],
          exclude,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'cluster',
          retry,
          include: ['**/*.cluster.test.ts'],
          exclude,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'etcd',
          retry,
          include: ['**/*.etcd.test.ts'],
          exclude,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
      {
        test: {
          name: 'machines',
          retry,
          include: ['**/*.machines.test.ts'],
          exclude,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 5 },
        },
      },
      {
        test: {
          name: 'kube',
          retry,
          include: ['**/*.kube.test.ts'],
          exclude,
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
          sequence: { groupOrder: 6 },
        },
      },
      {
        test: {
          name: 'node',
          retry,
          include: ['test/kubernetes/**/*.node.test.ts'],
          exclude,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          sequence: { groupOrder: 7 },
        },
      },
    ],
  },
});
