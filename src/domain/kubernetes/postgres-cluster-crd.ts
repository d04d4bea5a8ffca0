import {
  clusterNameSchema,
  MAX_CLUSTER_NAME_LENGTH,
  POSTGRES_CLUSTER,
  postgresClusterSpecSchema,
} from '../config/postgres-cluster.ts';
import { postgresClusterStatusSchema } from '../config/postgres-cluster-status.ts';
import type { KubeObject } from './kube-object.ts';
import { API_GROUP } from './labels.ts';
import { structuralSchema } from './structural-schema.ts';

const column = (name: string, jsonPath: string, type: string, description: string, priority = 0) => ({
  name,
  jsonPath,
  type,
  description,
  ...(priority === 0 ? {} : { priority }),
});

/** The CustomResourceDefinition of `PostgresCluster`. */
export function postgresClusterCrd(): KubeObject {
  const { plural, singular, shortName, kind } = POSTGRES_CLUSTER;
  const pattern = clusterNameSchema.meta()?.pattern ?? '^[a-z]([a-z0-9-]*[a-z0-9])?$';
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${API_GROUP}`, labels: { 'app.kubernetes.io/name': 'matriarch' } },
    spec: {
      group: API_GROUP,
      scope: 'Namespaced',
      names: { plural, singular, kind, listKind: `${kind}List`, shortNames: [shortName], categories: ['all'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.instances',
              statusReplicasPath: '.status.instances',
              labelSelectorPath: '.status.selector',
            },
          },
          additionalPrinterColumns: [
            column('Primary', '.status.primary', 'string', 'The member that leads.'),
            column('Ready', '.status.ready', 'string', 'Members that lead or follow, of those that are wanted.'),
            column('Serving', '.status.conditions[?(@.type=="Ready")].status', 'string', 'A primary serves.'),
            column('Progress', '.status.conditions[?(@.type=="Progressing")].reason', 'string', 'What the operator is doing.'),
            column('Age', '.metadata.creationTimestamp', 'date', 'When it was made.'),
            column('Timeline', '.status.timeline', 'integer', "PostgreSQL's timeline of the primary.", 1),
            column(
              'Accepted',
              '.status.conditions[?(@.type=="Accepted")].message',
              'string',
              'What is wrong with the resource.',
              1,
            ),
          ],
          schema: {
            openAPIV3Schema: {
              description: 'A PostgreSQL cluster that survives its primary: its members elect it among themselves.',
              type: 'object',
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: {
                  type: 'object',
                  properties: { name: { type: 'string', maxLength: MAX_CLUSTER_NAME_LENGTH, pattern } },
                },
                spec: { description: 'What is wanted.', default: {}, ...structuralSchema(postgresClusterSpecSchema) },
                status: {
                  description: 'What is there. Written by the operator.',
                  ...structuralSchema(postgresClusterStatusSchema),
                },
              },
            },
          },
        },
      ],
    },
  };
}
