import { z } from 'zod';

const path = z.string().regex(/^\//, 'must be an absolute path');
const port = z.int().min(1).max(65_535);
const host = z.string().regex(/^[A-Za-z0-9._:-]+$/, 'must be a host name or an IP address');

export const memberConfigSchema = z.strictObject({
  cluster: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be lower-case letters, digits and dashes, at most 40')
    .meta({
      description: 'The name of the cluster.',
    }),
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be lower-case letters, digits and dashes, at most 40')
    .meta({
      description: 'The name of this member, unique in its cluster.',
    }),
  memberDir: path.meta({ description: 'The folder of this member: its data, promise, logs and sockets.' }),
  host: host.meta({ description: 'The address at which the other members and clients reach PostgreSQL.' }),
  port: port.meta({ description: 'The port of PostgreSQL.' }),
  api: z
    .strictObject({
      host: host.meta({ description: 'The address at which the other agents reach this one.' }),
      port: port.meta({ description: 'The port of the API of the agent.' }),
    })
    .meta({ description: 'The HTTPS API of the agent. People use its Unix socket in the folder of the member.' }),
  postgresBin: path.meta({ description: 'The folder of postgres, initdb, pg_basebackup, pg_rewind and the others.' }),
  tags: z
    .strictObject({
      nofailover: z.boolean().default(false).meta({ description: 'This member never leads.' }),
      priority: z.int().min(0).max(100).default(50).meta({
        description: 'Among members that are equally far, the one with the higher number leads.',
      }),
      nosync: z.boolean().default(false).meta({ description: 'No commit ever waits for this member.' }),
      clonefrom: z.boolean().default(false).meta({ description: 'New members are preferably cloned from this one.' }),
    })
    .prefault({})
    .meta({ description: 'The part that this member plays.' }),
  store: z
    .discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('sqlite').meta({ description: 'The embedded store, for members on one machine.' }),
        file: path.meta({ description: 'The database file.' }),
      }),
    ])
    .meta({ description: 'Where the records of the cluster are kept.' }),
  tlsDir: path.meta({
    description:
      'TLS between the members, for the API and for PostgreSQL: a folder that holds `ca.crt`, `member.crt` and `member.key` (PEM).',
  }),
  secretsFile: path.meta({ description: 'The passwords of the cluster, readable by its owner alone.' }),
  runAs: z
    .strictObject({
      user: z.string().min(1).meta({ description: 'Its name, for people.' }),
      uid: z.int().min(1),
      gid: z.int().min(1),
    })
    .optional()
    .meta({ description: 'The unprivileged user that PostgreSQL runs as when the agent runs as root.' }),
});

/** What an agent reads when it starts; fixed for its life. */
export type MemberConfig = z.output<typeof memberConfigSchema>;
