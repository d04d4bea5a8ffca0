import { postgresClusterSpecSchema } from '#domain/config/postgres-cluster.ts';
import { CONDITION_REASONS, postgresClusterStatusSchema } from '#domain/config/postgres-cluster-status.ts';
import { fieldsTable, settingsTable } from './schema.ts';

/** docs/reference/postgres-cluster.md */
export function postgresClusterReference(): string {
  return [
    '# The resource `PostgresCluster`',
    '',
    '`matriarch.dev/v1`, namespaced, `kubectl get pgc`. Every field has a default, so that this is a cluster of three members:',
    '',
    '```yaml',
    'apiVersion: matriarch.dev/v1',
    'kind: PostgresCluster',
    'metadata:',
    '  name: main',
    '```',
    '',
    'The name is at most 37 lower-case letters, digits and dashes. What is wrong with a resource is refused by the API server, with the field; what only shows by comparing fields becomes the condition `Accepted=False`, whose message names them, and what runs goes on as it was. `kubectl scale pgc/NAME --replicas N` sets `instances`.',
    '',
    '## spec',
    '',
    ...settingsTable(postgresClusterSpecSchema),
    '',
    'The parameters of PostgreSQL that Matriarch sets itself are the same as [everywhere](configuration.md#parameters-that-matriarch-sets-itself).',
    '',
    '## status',
    '',
    ...fieldsTable(postgresClusterStatusSchema),
    '',
    `The reasons of conditions: ${CONDITION_REASONS.map((reason) => `\`${reason}\``).join(', ')}.`,
    '',
  ].join('\n');
}
