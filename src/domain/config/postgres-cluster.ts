import { z } from 'zod';
import { API_GROUP } from '../kubernetes/labels.ts';
import { clusterConfigSchema } from './cluster-config.ts';
import { initdbSchema } from './initdb.ts';
import { initialClusterConfig, validate } from './parse-config.ts';
import { objectName, resourcesSchema, schedulingShape, storageSchema, walStorageSchema } from './postgres-cluster-pods.ts';
import { databaseSchema, roleSchema } from './postgres-cluster-roles.ts';
import { sharedProxySchema } from './proxy-config.ts';
import { segmentSizeProblem } from './segment-size.ts';

export const POSTGRES_CLUSTER = {
  apiVersion: `${API_GROUP}/v1`,
  kind: 'PostgresCluster',
  plural: 'postgresclusters',
  singular: 'postgrescluster',
  shortName: 'pgc',
} as const;

/** What the image holds. */
const POSTGRES_VERSIONS = ['17'] as const;
/** So that `NAME-99` is still the name of a member. */
export const MAX_CLUSTER_NAME_LENGTH = 37;
export const MAX_INSTANCES = 16;

const { durability, timings, postgresql } = clusterConfigSchema.shape;
const mode = durability.unwrap().shape.mode.unwrap();

export const clusterNameSchema = z
  .string()
  .max(MAX_CLUSTER_NAME_LENGTH)
  .regex(/^[a-z]([a-z0-9-]*[a-z0-9])?$/, 'must be lower-case letters, digits and dashes, a letter first, no dash last');

const proxy = z
  .strictObject({
    replicas: z.int().min(0).max(32).default(2).meta({
      description: 'How many proxies. With 0 there is none, and the Service of the cluster leads to the primary itself.',
    }),
    service: z
      .strictObject({
        type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).default('ClusterIP').meta({
          description:
            'How clients from outside get in. `NodePort`: a Service `NAME-nodeport` beside the one of the cluster. `LoadBalancer`: the Service of the cluster is one.',
        }),
        nodePort: z.int().min(1).max(65_535).optional().meta({
          description: 'With `NodePort`: the port of every node. Default: one that Kubernetes chooses.',
        }),
        annotations: z.record(z.string(), z.string()).optional().meta({
          description: 'Annotations of the Service that leads out, as load balancers ask for them.',
        }),
      })
      .superRefine((value, context) => {
        if (value.nodePort !== undefined && value.type !== 'NodePort')
          context.addIssue({ code: 'custom', path: ['nodePort'], message: 'takes `type: NodePort`', input: value });
      })
      .prefault({})
      .meta({ description: 'How clients reach the proxies.' }),
    limits: sharedProxySchema.shape.limits,
    timeouts: sharedProxySchema.shape.timeouts,
    resources: resourcesSchema
      .default({ requests: { cpu: '100m', memory: '128Mi' } })
      .meta({ description: 'CPU and memory of the pod of a proxy.' }),
  })
  .prefault({})
  .meta({ description: 'The proxies in front of the cluster. They pool connections and always lead to the primary.' });

const spec = z
  .strictObject({
    instances: z
      .int()
      .min(1)
      .max(MAX_INSTANCES)
      .default(3)
      .meta({ description: 'How many members: one primary, the others standbys.' }),
    version: z
      .enum(
        POSTGRES_VERSIONS,
        `must be ${POSTGRES_VERSIONS.join(' or ')}: the image holds no other PostgreSQL; move data of another one by pg_dump, or by logical replication`,
      )
      .default(POSTGRES_VERSIONS[0])
      .meta({ description: 'The major version of PostgreSQL; it is that of the image.' }),
    image: z
      .string()
      .regex(/^[^\s]+$/, 'must be the name of an image')
      .optional()
      .meta({
        description:
          'The image of members and proxies. Default: that of the operator. A change restarts the members in turn, the primary last.',
      }),
    imagePullSecrets: z
      .array(z.strictObject({ name: objectName.meta({ description: 'The name of the Secret.' }) }))
      .max(16)
      .optional()
      .meta({ description: 'Secrets with which the image is pulled.' }),
    storage: storageSchema.prefault({}).meta({ description: 'The volume of each member.' }),
    walStorage: walStorageSchema.optional().meta({
      description:
        'A second volume of each member, for the write-ahead log. Default: the log lies on the volume of the data. It can be neither added to a cluster that exists nor taken from it.',
    }),
    resources: resourcesSchema
      .default({ requests: { cpu: '100m', memory: '512Mi' } })
      .meta({ description: 'CPU and memory of the pod of a member. A change restarts the members in turn, the primary last.' }),
    ...schedulingShape,
    bootstrap: z
      .strictObject({
        initdb: initdbSchema.prefault({}).meta({
          description: 'What `initdb` is given for the first member. None of it can be changed later.',
        }),
      })
      .prefault({})
      .meta({ description: 'How the first member is made.' }),
    durability: z
      .strictObject({
        mode: mode.optional().meta({
          description: `${
            mode.meta()?.description ??
            durability
              .unwrap()
              .shape.mode.meta()
              ?.description?.replace(/ `matriarch up` writes.*$/, '') ??
            ''
          } Default: \`required\` with three members or more, \`preferred\` with two, \`async\` with one.`,
        }),
        count: durability.unwrap().shape.count,
      })
      .prefault({})
      .meta({ description: 'When a commit counts as done.' }),
    timings,
    postgresql,
    roles: z
      .array(roleSchema)
      .max(1000)
      .default([])
      .meta({ listMapKey: 'name', description: 'Roles that are kept as declared.' }),
    databases: z
      .array(databaseSchema)
      .max(1000)
      .default([])
      .meta({ listMapKey: 'name', description: 'Databases that are kept as declared. One that is taken off the list stays.' }),
    proxy,
    monitoring: z
      .strictObject({
        podMonitor: z.boolean().default(false).meta({
          description: 'PodMonitors for the Prometheus operator. Its `PodMonitor` must be installed.',
        }),
      })
      .prefault({})
      .meta({ description: 'Metrics are always there; this says who reads them.' }),
    tls: z
      .strictObject({
        secret: objectName.optional().meta({
          description:
            'The Secret (`tls.crt`, `tls.key`) that proxies show clients. Default: one by the authority of the cluster, whose certificate is `ca.crt` of `NAME-member-tls`.',
        }),
        rotation: z.int().min(0).max(1_000_000).default(0).meta({
          description:
            'A higher number than before: the authority of the cluster is replaced by a new one, in three stages of ten minutes or more, without a restart. Clients that keep a copy of `ca.crt` need the new one within the first.',
        }),
        clients: z
          .enum(['allow', 'require'])
          .default('allow')
          .meta({ description: '`require`: the proxies refuse a client without TLS.' }),
      })
      .prefault({})
      .meta({ description: 'TLS for clients. Between the members it is always on.' }),
    deletionPolicy: z.enum(['keep', 'delete']).default('keep').meta({
      description:
        'What becomes of the volumes and the Secrets when the resource is deleted. A resource of the same name finds them again.',
    }),
    paused: z.boolean().default(false).meta({
      description: 'No automatic failover, restart, rewind or clone, and the operator restarts nothing.',
    }),
  })
  .superRefine((value, context) => {
    const problem = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message, input: value });
    if (value.durability.mode === 'required' && value.instances < 2)
      problem(['durability', 'mode'], '`required` with one member would let no commit ever end; it takes two at least');
    if (value.durability.count > Math.max(1, value.instances - 1))
      problem(['durability', 'count'], `must be at most ${Math.max(1, value.instances - 1)}, the number of instances minus one`);
    const tooLarge = segmentSizeProblem(value);
    if (tooLarge !== undefined) problem(['bootstrap', 'initdb', 'walSegmentSizeMb'], tooLarge);
    unique(value.roles, 'roles', problem, ({ name }) => name.replaceAll('_', '-'));
    unique(value.databases, 'databases', problem);
  });

function unique<Item extends { readonly name: string }>(
  items: readonly Item[],
  at: string,
  problem: (path: (string | number)[], message: string) => void,
  as: (item: Item) => string = ({ name }) => name,
): void {
  for (const [index, item] of items.entries())
    if (items.findIndex((one) => as(one) === as(item)) < index) problem([at, index, 'name'], `is there twice: ${item.name}`);
}

/** `metadata` as far as it matters; Kubernetes keeps the rest. */
const metadata = z.looseObject({
  name: clusterNameSchema,
  namespace: z.string().optional(),
  uid: z.string().optional(),
  generation: z.int().optional(),
});

const postgresClusterSchema = z.looseObject({
  metadata,
  spec: spec.prefault({}),
});
export const postgresClusterSpecSchema = spec;

export type PostgresClusterSpec = z.output<typeof spec>;
export interface PostgresCluster {
  readonly name: string;
  readonly namespace: string | undefined;
  /** Of the resource; absent where there is none. */
  readonly uid: string | undefined;
  readonly generation: number;
  readonly spec: PostgresClusterSpec;
}

/** A resource as the API server has it, with defaults filled in. Errors: `config.invalid`, `config.owned`, naming every field. */
export function parsePostgresCluster(value: unknown): PostgresCluster {
  const named = (value as { metadata?: { name?: unknown } } | undefined)?.metadata?.name;
  const { metadata, spec } = validate(
    postgresClusterSchema,
    value,
    `PostgresCluster ${typeof named === 'string' ? named : ''}`.trim(),
  );
  const { name, namespace, uid, generation = 0 } = metadata;
  return { name, namespace, uid, generation, spec };
}

/** The dynamic configuration that the agents of a cluster are to have. */
export function clusterConfigOf({ instances, durability, timings, postgresql, proxy, paused }: PostgresClusterSpec) {
  const { limits, timeouts } = proxy;
  const { mode } = initialClusterConfig(instances, durability.mode).durability;
  return clusterConfigSchema.parse({
    durability: { mode, count: durability.count },
    timings,
    postgresql,
    paused,
    proxy: { ...(limits === undefined ? {} : { limits }), ...(timeouts === undefined ? {} : { timeouts }) },
  });
}
