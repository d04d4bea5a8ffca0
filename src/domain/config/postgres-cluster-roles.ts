import { z } from 'zod';
import { objectName } from './postgres-cluster-pods.ts';

// Roles and databases that a resource declares.

/** Names that need no quoting and, in a Secret's name, no escaping. */
const name = z
  .string()
  .regex(
    /^[a-z]([a-z0-9_-]{0,38}[a-z0-9])?$/,
    'must be lower-case letters, digits, dashes and underscores, at most 40, a letter first',
  )
  .refine((text) => !text.startsWith('pg_'), 'must not begin with pg_, which PostgreSQL keeps for itself');
const OWN_ROLES = ['postgres', 'matriarch', 'matriarch_replication'];
const state = z.enum(['present', 'absent']).default('present');

export const roleSchema = z.strictObject({
  name: name.refine((text) => !OWN_ROLES.includes(text), 'belongs to Matriarch').meta({ description: 'Its name.' }),
  state: state.meta({ description: '`absent`: it is dropped; that fails, and says so, while something belongs to it.' }),
  passwordSecret: objectName.optional().meta({
    description:
      'The Secret whose `password` is its password; a change is in force within seconds. Default: `CLUSTER-role-NAME`, drawn at random.',
  }),
  login: z.boolean().default(true).meta({ description: 'It may log in. Without it, it is a group and has no password.' }),
  superuser: z.boolean().default(false).meta({ description: 'It may do everything.' }),
  createdb: z.boolean().default(false).meta({ description: 'It may make databases.' }),
  createrole: z.boolean().default(false).meta({ description: 'It may make roles.' }),
  replication: z.boolean().default(false).meta({ description: 'It may replicate logically.' }),
  bypassrls: z.boolean().default(false).meta({ description: 'Row-level security does not hold for it.' }),
  inherit: z.boolean().default(true).meta({ description: 'It has the rights of the roles that it belongs to.' }),
  connectionLimit: z.int().min(-1).max(262_143).default(-1).meta({ description: 'Its connections at once; -1: no limit.' }),
  memberOf: z.array(z.string().min(1)).max(64).default([]).meta({
    description: 'The roles that it belongs to. It is taken out of others.',
  }),
});
export type RoleSpec = z.output<typeof roleSchema>;

export const databaseSchema = z.strictObject({
  name: name
    .refine((text) => !['postgres', 'template0', 'template1'].includes(text), 'is a database of PostgreSQL itself')
    .meta({ description: 'Its name.' }),
  owner: z.string().min(1).default('postgres').meta({ description: 'The role that owns it.' }),
  extensions: z
    .array(z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/, 'must be the name of an extension'))
    .max(64)
    .default([])
    .meta({
      description: 'Extensions that are in it; one that is taken off the list stays, since what it holds would go with it.',
    }),
});
export type DatabaseSpec = z.output<typeof databaseSchema>;
