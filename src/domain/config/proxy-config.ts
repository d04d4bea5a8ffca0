import { z } from 'zod';
import { parseDurationMs } from './quantity.ts';

const port = z.int().min(0).max(65_535);
const path = z.string().regex(/^\//, 'must be an absolute path');
const host = z.string().regex(/^[A-Za-z0-9._:-]+$/, 'must be a host name or an IP address');

function duration(minimumMs: number, maximumMs: number, description: string) {
  return z
    .preprocess(
      (value) => (typeof value === 'string' ? (parseDurationMs(value) ?? value) : value),
      z.int().min(minimumMs).max(maximumMs),
    )
    .meta({ description, example: '1500ms, 2s', unit: 'milliseconds' });
}

const address = z
  .string()
  .regex(/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$/, 'must be HOST:PORT, with an IPv6 address in brackets')
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'has no port between 0 and 65535');

const agent = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,39}=(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$/, 'must be MEMBER=HOST:PORT');

const DAY_MS = 86_400_000;

const limits = z.strictObject({
  clients: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .meta({ description: 'Clients at once. The next one is answered 53300.' }),
  serversPerPool: z.int().min(1).max(10_000).default(20).meta({
    description: 'Server connections for one role in one database.',
  }),
  serversPerDatabase: z.int().min(1).max(10_000).optional().meta({ description: 'Server connections for one database.' }),
  serversPerRole: z.int().min(1).max(10_000).optional().meta({ description: 'Server connections for one role.' }),
  servers: z.int().min(1).max(10_000).optional().meta({
    description:
      'Server connections in all. Default: what `max_connections` leaves beside the reserved ones, less one in ten for others.',
  }),
  clientsPerRole: z.int().min(1).max(1_000_000).optional().meta({ description: 'Clients at once of one role.' }),
  clientsPerDatabase: z.int().min(1).max(1_000_000).optional().meta({ description: 'Clients at once of one database.' }),
  waitingPerPool: z.int().min(1).max(1_000_000).default(10_000).meta({
    description: 'Clients that wait for a server connection of one pool. The next one is answered 53300.',
  }),
  preparedPerServer: z.int().min(1).max(100_000).default(500).meta({
    description: 'Prepared statements that are kept on one server connection; the one used longest ago goes.',
  }),
  multiplexing: z.boolean().default(true).meta({
    description: 'Quick reads of several clients share a server connection. `false`: each transaction has one of its own.',
  }),
});

const timeouts = z.strictObject({
  waitMs: duration(0, DAY_MS, 'How long a client waits for a server connection before it gets 53300. 0: for ever.').default(
    120_000,
  ),
  waitNoticeMs: duration(0, DAY_MS, 'After so long a waiting client is told so by a notice. 0: never.').default(5000),
  holdMs: duration(0, DAY_MS, 'How long work is held while there is no primary, before it gets 57P03.').default(30_000),
  loginMs: duration(100, 600_000, 'How long a client may take to log in.').default(15_000),
  connectMs: duration(50, 60_000, 'How long a server may take to accept a connection.').default(500),
  hedgeMs: duration(
    0,
    60_000,
    'A read that has waited for so long behind those of other clients on a connection is sent on another one as well. 0: never.',
  ).default(20),
  queryMs: duration(0, DAY_MS, 'A statement that runs longer is cancelled. 0: never.').default(0),
  idleInTransactionMs: duration(
    0,
    DAY_MS,
    'A transaction that waits for its client longer is ended with 25P03. 0: never.',
  ).default(0),
  clientIdleMs: duration(0, 30 * DAY_MS, 'A client that sends nothing for longer is disconnected. 0: never.').default(0),
  serverIdleMs: duration(0, 30 * DAY_MS, 'A server connection that is not used for longer is closed. 0: never.').default(600_000),
  serverLifetimeMs: duration(1000, 30 * DAY_MS, 'A server connection older than this is closed when it is free.').default(
    3_600_000,
  ),
  drainMs: duration(0, DAY_MS, 'How long the end of the proxy waits for open transactions.').default(30_000),
});

const tls = z.strictObject({
  mode: z.enum(['disable', 'allow', 'require']).default('allow').meta({
    description: '`require`: a client without TLS is refused. `disable`: none is offered.',
  }),
  certificateFile: path.optional().meta({ description: 'The certificate that clients are shown (PEM), with its chain.' }),
  keyFile: path.optional().meta({ description: 'Its key (PEM).' }),
  clientCaFile: path.optional().meta({
    description:
      'Authorities of client certificates: whoever shows one whose common name is the role logs in without a password.',
  }),
});

const proxyConfigSchema = z.strictObject({
  listen: z
    .strictObject({
      host: host.default('127.0.0.1').meta({ description: 'The address that clients reach.' }),
      port: port.default(6432).meta({ description: 'Its port.' }),
    })
    .prefault({}),
  limits: limits.prefault({}),
  timeouts: timeouts.prefault({}),
  tls: tls.prefault({}),
  metrics: z
    .strictObject({
      host: host.default('127.0.0.1').meta({ description: 'The address of the metrics and the health check.' }),
      port: port.meta({ description: 'Its port.' }),
    })
    .optional()
    .meta({ description: 'Prometheus metrics at `/metrics`, health at `/health`, over HTTP. Absent: none.' }),
});
export type ProxyConfig = z.output<typeof proxyConfigSchema>;

/** The same settings, each optional and without a default. */
function withoutDefaults<Shape extends z.ZodRawShape>(schema: z.ZodObject<Shape>) {
  const shape = Object.fromEntries(
    Object.entries(schema.shape).map(([name, field]) => {
      const bare = field instanceof z.ZodDefault ? (field.unwrap() as z.ZodType) : (field as z.ZodType);
      return [name, (bare instanceof z.ZodOptional ? bare : bare.optional()).meta({ ...(field as z.ZodType).meta() })];
    }),
  ) as { [Key in keyof Shape]: z.ZodOptional<z.ZodType<z.output<Shape[Key]>>> };
  return z.strictObject(shape);
}

/** What the cluster's own configuration says of its proxies. The file of a proxy wins over it. */
export const sharedProxySchema = z.strictObject({
  limits: withoutDefaults(limits).optional().meta({ description: 'As `limits` of a proxy.' }),
  timeouts: withoutDefaults(timeouts).optional().meta({ description: 'As `timeouts` of a proxy.' }),
});
export type SharedProxyConfig = z.output<typeof sharedProxySchema>;

const agentsSource = z.strictObject({
  kind: z.literal('agents').meta({ description: 'A cluster of Matriarch whose members have a machine each.' }),
  agents: z
    .array(agent)
    .min(1)
    .max(32)
    .meta({ description: '`member=host:port` of the API of the members. One that answers is enough; it names the others.' }),
  tlsDir: path.meta({
    description: 'What the proxy shows the agents and the servers: the folder `proxy` that `matriarch machines` has made.',
  }),
});

const clusterSource = z.strictObject({
  kind: z.literal('cluster').meta({ description: 'A cluster that `matriarch up` made on this machine.' }),
  dir: path.meta({ description: 'Its folder.' }),
});

const serversSource = z.strictObject({
  kind: z.literal('servers').meta({ description: 'PostgreSQL servers without agents: somebody else promotes and demotes them.' }),
  servers: z.array(address).min(1).max(32).meta({ description: '`host:port` of the primary and of every standby.' }),
  user: z.string().min(1).meta({ description: 'The role that asks the servers. It must be able to read `pg_authid`.' }),
  passwordFile: path.optional().meta({ description: 'Its password, in a file readable by its owner alone.' }),
  database: z.string().min(1).default('postgres').meta({ description: 'The database that it asks in.' }),
  tls: z
    .strictObject({
      mode: z.enum(['disable', 'require', 'verify-ca']).default('disable').meta({
        description: 'For every connection to the servers, as the `sslmode` of libpq of that name.',
      }),
      caFile: path.optional().meta({ description: 'The authority that signed the certificates of the servers (PEM).' }),
      certificateFile: path.optional().meta({ description: 'The certificate that the servers are shown (PEM).' }),
      keyFile: path.optional().meta({ description: 'Its key (PEM).' }),
    })
    .prefault({}),
  askEveryMs: duration(20, 60_000, 'How often each server is asked what it is.').default(200),
  connectMs: duration(50, 60_000, 'How long a server may take to accept the connection that asks.').default(500),
  answerMs: duration(50, 60_000, 'How long a server may take to say what it is.').default(1000),
});

function pairedFiles(value: { readonly certificateFile?: string | undefined; readonly keyFile?: string | undefined }): boolean {
  return (value.certificateFile === undefined) === (value.keyFile === undefined);
}

/** The file of `matriarch proxy`. */
export const proxyFileSchema = proxyConfigSchema
  .extend({
    source: z
      .discriminatedUnion('kind', [agentsSource, clusterSource, serversSource])
      .meta({ description: 'Where it learns who is the primary and who may log in.' }),
    log: z
      .strictObject({
        level: z.enum(['debug', 'info', 'warn', 'error']).default('info').meta({ description: 'The least that is written.' }),
        file: path.optional().meta({ description: 'Where. Opened anew on SIGHUP. Default: standard error.' }),
      })
      .prefault({}),
  })
  .superRefine((value, context) => {
    const problem = (place: string[], message: string) =>
      context.addIssue({ code: 'custom', path: place, message, input: value });
    const { tls, source } = value;
    if (!pairedFiles(tls)) problem(['tls', 'certificateFile'], 'and `keyFile` go together');
    if (tls.mode === 'require' && tls.certificateFile === undefined)
      problem(['tls', 'mode'], '`require` takes `certificateFile` and `keyFile`');
    if (tls.clientCaFile !== undefined && tls.certificateFile === undefined)
      problem(['tls', 'clientCaFile'], 'takes `certificateFile` and `keyFile`');
    if (source.kind !== 'servers') return;
    if (!pairedFiles(source.tls)) problem(['source', 'tls', 'certificateFile'], 'and `keyFile` go together');
    if (source.tls.mode === 'verify-ca' && source.tls.caFile === undefined)
      problem(['source', 'tls', 'mode'], '`verify-ca` takes `caFile`');
  });
export type ProxyFile = z.output<typeof proxyFileSchema>;
export type ProxySource = ProxyFile['source'];
