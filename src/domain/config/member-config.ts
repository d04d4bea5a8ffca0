import { z } from 'zod';
import { clusterConfigSchema } from './cluster-config.ts';
import { initdbSchema } from './initdb.ts';

const path = z.string().regex(/^\//, 'must be an absolute path');
const port = z.int().min(1).max(65_535);
const host = z.string().regex(/^[A-Za-z0-9._:-]+$/, 'must be a host name or an IP address');

const url = z.string().regex(/^https?:\/\/[A-Za-z0-9._:[\]-]+\/?$/, 'must be a URL such as https://10.0.0.1:2379');
const LOOPBACK = /^(localhost|127\.[0-9.]+|::1|\[::1\])$/;

function isPlainAndFar(endpoint: string): boolean {
  const parsed = URL.parse(endpoint);
  return parsed?.protocol === 'http:' && !LOOPBACK.test(parsed.hostname);
}

const etcdStore = z
  .strictObject({
    kind: z.literal('etcd').meta({ description: 'etcd 3.4 or later, by its JSON gateway, for members on several machines.' }),
    endpoints: z.array(url).min(1).max(32).meta({
      description: 'The URLs of the members of etcd. All of them: a call goes to the next one when one does not answer.',
    }),
    prefix: z
      .string()
      .regex(/^\/[A-Za-z0-9._/-]*\/$/, 'must begin and end with a slash')
      .optional()
      .meta({ description: 'Where the records of the cluster lie. Default: `/matriarch/<cluster>/`.' }),
    plaintext: z.boolean().default(false).meta({
      description: 'Allows `http://` beyond this machine. Whoever can read or change the records there decides who leads.',
    }),
    caFile: path.optional().meta({
      description: 'The authority that signed the certificates of etcd (PEM). Default: those that Node.js trusts.',
    }),
    certificateFile: path.optional().meta({ description: 'The certificate that etcd asks its clients for (PEM).' }),
    keyFile: path.optional().meta({ description: 'The key of that certificate (PEM).' }),
    user: z.string().min(1).optional().meta({ description: 'The user of etcd, where it has its authentication enabled.' }),
    passwordFile: path.optional().meta({ description: 'The password of that user, in a file readable by its owner alone.' }),
  })
  .superRefine((value, context) => {
    const problem = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message, input: value });
    if ((value.user === undefined) !== (value.passwordFile === undefined)) problem('user', 'and `passwordFile` go together');
    if ((value.certificateFile === undefined) !== (value.keyFile === undefined))
      problem('certificateFile', 'and `keyFile` go together');
    if (!value.plaintext && value.endpoints.some(isPlainAndFar))
      problem('endpoints', 'must be https:// beyond this machine; `plaintext: true` allows http://');
  });

const kubernetesStore = z.strictObject({
  kind: z.literal('kubernetes').meta({
    description:
      'The API server of Kubernetes: the Lease `<cluster>-leader`, the ConfigMap `<cluster>-records`, and the pods of the members.',
  }),
  namespace: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be the name of a namespace')
    .optional()
    .meta({ description: 'Where these objects are. Default: the namespace of the pod, or of the kubeconfig.' }),
  kubeconfig: path.optional().meta({
    description:
      'How to reach the API server from outside; the records of members are then in the ConfigMap, too. Default: as the service account of the pod.',
  }),
});

const patroniApi = z
  .strictObject({
    host: host.meta({ description: 'The address that it listens on.' }),
    port: port.meta({ description: 'Its port; Patroni takes 8008.' }),
    tls: z.boolean().default(false).meta({ description: 'HTTPS, with the certificate of the member.' }),
    authentication: z
      .strictObject({
        username: z.string().min(1).meta({ description: 'The name.' }),
        passwordFile: path.meta({ description: 'The password, in a file readable by its owner alone.' }),
      })
      .optional()
      .meta({
        description:
          'Basic authentication for the calls that change something. Without it this port only answers questions. Beyond this machine it takes `tls`.',
      }),
  })
  .superRefine((value, context) => {
    if (value.authentication !== undefined && !value.tls && !LOOPBACK.test(value.host))
      context.addIssue({
        code: 'custom',
        path: ['authentication'],
        message: 'takes `tls: true`: the password would cross the network in the clear',
        input: value,
      });
  })
  .meta({ description: 'A second port that answers as Patroni does, for HAProxy checks and scripts. Absent: none.' });

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
  walDir: path.optional().meta({
    description:
      'A folder that is there, on a disk of its own, for the write-ahead log: the member makes a folder for itself in it. A member that has its data already takes it up when it is made anew (`matriarch reinit`). Default: the log lies with the data.',
  }),
  host: host.meta({ description: 'The address at which the other members and clients reach PostgreSQL.' }),
  port: port.meta({ description: 'The port of PostgreSQL.' }),
  listen: host.optional().meta({
    description: 'The address that PostgreSQL listens on, where that is not `host`: `0.0.0.0` for every one of the machine.',
  }),
  api: z
    .strictObject({
      host: host.meta({ description: 'The address at which the other agents reach this one.' }),
      port: port.meta({ description: 'The port of the API of the agent.' }),
      listen: host.optional().meta({ description: 'The address that the API listens on, where that is not `api.host`.' }),
    })
    .meta({ description: 'The HTTPS API of the agent. People use its Unix socket in the folder of the member.' }),
  patroniApi: patroniApi.optional(),
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
      etcdStore,
      kubernetesStore,
    ])
    .meta({ description: 'Where the records of the cluster are kept.' }),
  tlsDir: path.meta({
    description:
      'TLS between the members, for the API and for PostgreSQL: a folder that holds `ca.crt`, `member.crt` and `member.key` (PEM).',
  }),
  secretsFile: path.meta({ description: 'The passwords of the cluster, readable by its owner alone.' }),
  initialConfig: clusterConfigSchema.optional().meta({
    listedAbove: true,
    description:
      'The dynamic configuration of a new cluster, written by whoever starts first and never read again. Without it: the defaults.',
  }),
  initdb: initdbSchema.optional().meta({
    description:
      'How the first server of a new cluster is made, by whoever starts first; never read again. The same on every member. Without it: the defaults.',
  }),
  declaredConfig: path.optional().meta({
    description:
      'A file with the configuration of the cluster as it is wanted. The leader puts what it says into the store, at the start and whenever it changes, and gives the roles the passwords of `secretsFile`; other ways to change either are refused or undone. A pause that people make stays theirs to end. Absent: the store is changed by people.',
  }),
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
