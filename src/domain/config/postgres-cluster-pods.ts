import { z } from 'zod';
import { parseResourceQuantity, RESOURCE_QUANTITY } from '../kubernetes/resource-quantity.ts';

// What a resource says about pods, in Kubernetes' own terms.

const name = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'must be the name of a Kubernetes object');
const labelKey = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9._/-]{0,315}[A-Za-z0-9])?$/, 'must be the key of a label');
const labelValue = z
  .string()
  .regex(/^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/, 'must be the value of a label, at most 63 letters');

/** As text, or as a bare number where it has no unit. */
const quantity = z
  .union([z.string(), z.number()])
  .transform(String)
  .refine((text) => RESOURCE_QUANTITY.test(text), 'must be a quantity such as 500m, 2 or 1Gi')
  .meta({ intOrString: true, pattern: RESOURCE_QUANTITY.source });

export const objectName = name;

export const resourcesSchema = z
  .strictObject({
    requests: z
      .record(z.string(), quantity)
      .optional()
      .meta({ description: 'What a pod is promised, such as `cpu` and `memory`.' }),
    limits: z.record(z.string(), quantity).optional().meta({ description: 'What a pod may not exceed.' }),
  })
  .superRefine(({ requests = {}, limits = {} }, context) => {
    for (const [resource, limit] of Object.entries(limits)) {
      const request = parseResourceQuantity(requests[resource] ?? '0') ?? 0;
      if (request > (parseResourceQuantity(limit) ?? 0))
        context.addIssue({
          code: 'custom',
          path: ['requests', resource],
          message: `must not exceed its limit, ${limit}`,
          input: limit,
        });
    }
  });
export type Resources = z.output<typeof resourcesSchema>;

const volumeSize = quantity.refine(
  (text) => (parseResourceQuantity(text) ?? 0) >= 2 ** 28,
  'must be at least 256Mi: an empty server with its log takes that',
);
const volumeSchema = (size: string) =>
  z.strictObject({
    size: volumeSize.default('10Gi').meta({
      intOrString: true,
      pattern: RESOURCE_QUANTITY.source,
      description: `${size} It may grow, where the storage class allows it; it cannot shrink.`,
    }),
    storageClass: name.optional().meta({
      description: 'Its storage class. Default: that of the Kubernetes cluster. Cannot be changed.',
    }),
  });

export const storageSchema = volumeSchema('The size of the volume of each member.');
export const walStorageSchema = volumeSchema(
  'The size of that volume. What a member keeps for others that are away counts: `max_wal_size`, `wal_keep_size` and `max_slot_wal_keep_size` together take 3.3 GB if nothing else is said.',
);

const tolerationSchema = z
  .strictObject({
    key: labelKey.optional().meta({ description: 'The taint. Without it: every one, with `operator: Exists`.' }),
    operator: z.enum(['Equal', 'Exists']).default('Equal').meta({ description: 'How `value` is compared.' }),
    value: labelValue.optional().meta({ description: 'The value of the taint, with `Equal`.' }),
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional().meta({ description: 'Without it: every effect.' }),
    tolerationSeconds: z.int().min(0).optional().meta({ description: 'With `NoExecute`: how long.' }),
  })
  .superRefine((value, context) => {
    const problem = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message, input: value });
    if (value.key === undefined && value.operator === 'Equal') problem('operator', 'must be Exists where there is no key');
    if (value.operator === 'Exists' && value.value !== undefined) problem('value', 'must not stand beside `operator: Exists`');
  });

const topologySpreadSchema = z.strictObject({
  topologyKey: labelKey.meta({ description: 'The label of the nodes, such as `topology.kubernetes.io/zone`.' }),
  maxSkew: z.int().min(1).max(16).default(1).meta({ description: 'By how many members two of its values may differ.' }),
  whenUnsatisfiable: z
    .enum(['DoNotSchedule', 'ScheduleAnyway'])
    .default('ScheduleAnyway')
    .meta({ description: 'What to do with a member for which there is no such node.' }),
});

/** Where pods run. */
export const schedulingShape = {
  affinity: z.record(z.string(), z.unknown()).optional().meta({
    preserve: true,
    description:
      'The `affinity` of the pods of members, as Kubernetes has it. Default: two members are kept off one node where that is possible.',
  }),
  nodeSelector: z
    .record(labelKey, labelValue)
    .optional()
    .meta({ description: 'The labels of the nodes that members may run on.' }),
  tolerations: z.array(tolerationSchema).max(64).optional().meta({ description: 'The taints that members tolerate.' }),
  topologySpread: z.array(topologySpreadSchema).max(16).optional().meta({
    description: 'How members are spread over zones or nodes. The selector is filled in.',
  }),
};
