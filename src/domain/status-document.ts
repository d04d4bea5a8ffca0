import { z } from 'zod';
import { MEMBER_STATES } from './member.ts';
import { PROXY_STATES } from './proxy-health.ts';

/** `status -o json`. Fields are added and never renamed or removed within a major version. */
export const statusDocumentSchema = z.strictObject({
  cluster: z.string().meta({ description: 'The name of the cluster.' }),
  epoch: z
    .int()
    .nullable()
    .meta({ description: 'The epoch of the leader record; it grows with every claim. null before the first one.' }),
  leader: z.string().nullable().meta({
    description:
      'The member that the leader record names. While it is being replaced its `role` is no longer `primary`. null before the first claim, and when no agent answers.',
  }),
  paused: z.boolean().meta({ description: 'No automatic failover, restart, rewind or clone.' }),
  durability: z.strictObject({
    mode: z
      .enum(['required', 'preferred', 'async'])
      .nullable()
      .meta({ description: 'As configured. null when no agent answers.' }),
    k: z.int().meta({ description: 'How many members of `sync` have flushed a transaction before it is acknowledged.' }),
    sync: z.array(z.string()).meta({ description: 'The members whose confirmations count, by the leader record.' }),
    degradedSince: z
      .strictObject({
        lsn: z.string().meta({ description: 'From this position on the log may exist on the leader alone.' }),
        at: z.iso.datetime().meta({ description: 'When.' }),
      })
      .nullable()
      .meta({ description: 'Set while the leader goes on alone.' }),
  }),
  connection: z.strictObject({
    readWrite: z.string().nullable().meta({
      description: 'libpq URL of the proxy, which finds the primary, with its password. Where there is no proxy: as `direct`.',
    }),
    readOnly: z.string().nullable().meta({ description: 'libpq URL that prefers a standby, with its password.' }),
    direct: z.string().nullable().meta({
      description: 'libpq URL that names every member, so that the client finds the primary itself, with its password.',
    }),
  }),
  proxy: z
    .strictObject({
      host: z.string().meta({ description: 'Where it listens for clients.' }),
      port: z.int(),
      state: z.enum([...PROXY_STATES, 'unreachable']).meta({
        description:
          '`holding`: there is no primary at this moment, and work waits. `withoutPrimary`: for longer than it waits. `draining`: it ends. `unreachable`: it does not answer.',
      }),
      primary: z.string().nullable().meta({ description: 'The server that it takes for the primary.' }),
      clients: z.int().nullable().meta({ description: 'Clients that are logged in.' }),
      waiting: z.int().nullable().meta({ description: 'Of them: waiting for a server connection.' }),
      servers: z.int().nullable().meta({ description: 'Server connections.' }),
      pid: z.int().nullable(),
    })
    .nullable()
    .meta({ description: 'The proxy that `matriarch up` runs; null where there is none.' }),
  members: z.array(
    z.strictObject({
      name: z.string(),
      role: z.enum(['primary', 'standby', 'none']).meta({ description: 'What its PostgreSQL is at this moment.' }),
      state: z.enum([...MEMBER_STATES, 'unreachable']).meta({ description: '`unreachable`: its agent does not answer.' }),
      timeline: z.int().nullable().meta({ description: "PostgreSQL's timeline." }),
      lsn: z.string().nullable().meta({ description: 'The end of its write-ahead log.' }),
      lagBytes: z.int().nullable().meta({ description: 'How far it is behind the leader; null when it does not stream.' }),
      lagMs: z
        .number()
        .nullable()
        .meta({ description: 'How far it is behind the leader in time; null when it does not stream.' }),
      host: z.string().meta({ description: 'Where its PostgreSQL listens.' }),
      port: z.int(),
      api: z.string().meta({ description: '`host:port` of the API of its agent.' }),
      agentPid: z.int().nullable(),
      guardPid: z.int().nullable(),
      postgresPid: z.int().nullable(),
      since: z.iso.datetime().nullable().meta({ description: 'When its state began.' }),
      reason: z.string().meta({ description: 'Why it is what it is, with the ids of the rules.' }),
    }),
  ),
});
export type StatusDocument = z.output<typeof statusDocumentSchema>;
export type MemberStatus = StatusDocument['members'][number];
