import { z } from 'zod';
import { MEMBER_STATES } from '../member.ts';

const CONDITION_TYPES = ['Ready', 'Progressing', 'Degraded', 'Accepted'] as const;

/** Enumerated, so that programs can rely on them; what is special about a case stands in the message. */
export const CONDITION_REASONS = [
  'Serving',
  'NoPrimary',
  'Creating',
  'Stable',
  'Restarting',
  'Scaling',
  'Growing',
  'Configuring',
  'Waiting',
  'Paused',
  'Failed',
  'AllMembersFollow',
  'MembersMissing',
  'Valid',
  'Invalid',
  'Refused',
] as const;
export type ConditionReason = (typeof CONDITION_REASONS)[number];

const condition = z.strictObject({
  type: z.enum(CONDITION_TYPES).meta({
    description:
      '`Ready`: a primary serves. `Progressing`: the operator is changing something. `Degraded`: a member is missing or does not follow. `Accepted`: the resource is valid and can be had.',
  }),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
  reason: z.enum(CONDITION_REASONS).meta({ description: 'Why, for programs.' }),
  message: z.string().meta({ description: 'Why, for people.' }),
  observedGeneration: z.int().meta({ description: 'The `metadata.generation` that it is about.' }),
  lastTransitionTime: z.string().meta({ format: 'date-time', description: 'When `status` last changed.' }),
});
export type Condition = z.output<typeof condition>;

export const postgresClusterStatusSchema = z.strictObject({
  observedGeneration: z.int().optional().meta({ description: 'The `metadata.generation` that the status is about.' }),
  conditions: z.array(condition).default([]).meta({ listMapKey: 'type', description: 'What holds.' }),
  primary: z.string().optional().meta({ description: 'The member that leads.' }),
  epoch: z.int().optional().meta({ description: 'The epoch of its claim; it grows with every one.' }),
  timeline: z.int().optional().meta({ description: "PostgreSQL's timeline of the primary." }),
  instances: z.int().default(0).meta({ description: 'How many members there are.' }),
  readyInstances: z.int().default(0).meta({ description: 'How many of them serve or follow.' }),
  ready: z.string().optional().meta({ description: '`readyInstances`/`instances` wanted, for people.' }),
  selector: z.string().optional().meta({ description: 'The labels of the pods of the members, for `kubectl scale`.' }),
  members: z
    .array(
      z.strictObject({
        name: z.string().meta({ description: 'Its pod.' }),
        role: z.enum(['primary', 'standby', 'none']).meta({ description: 'What its PostgreSQL is.' }),
        state: z.enum([...MEMBER_STATES, 'unreachable']).meta({ description: 'How it is.' }),
        lagBytes: z.int().optional().meta({ description: 'How far it is behind the primary.' }),
      }),
    )
    .optional()
    .meta({ listMapKey: 'name', description: 'The members.' }),
});
export type PostgresClusterStatus = z.output<typeof postgresClusterStatusSchema>;
