import { z } from 'zod';

const name = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be lower-case letters, digits and dashes, at most 40');
const port = z.int().min(1).max(65_535);

/** `cluster.json`: what `matriarch up` made and finds again. Versioned, so that an older Matriarch leaves a newer folder alone. */
export const clusterDescriptionSchema = z.strictObject({
  version: z.literal(1),
  cluster: name,
  createdAt: z.iso.datetime(),
  postgresBin: z.string(),
  postgresVersion: z.string(),
  members: z
    .array(z.strictObject({ name, host: z.string(), port, apiPort: port }))
    .min(1)
    .max(32),
  /** Where clients are served. Null: somebody asked for none. Absent: made before there were proxies; the next `up` adds one. */
  proxy: z.strictObject({ host: z.string(), port, metricsPort: port }).nullable().optional(),
});
export type ProxyDescription = NonNullable<z.output<typeof clusterDescriptionSchema>['proxy']>;
export type ClusterDescription = z.output<typeof clusterDescriptionSchema>;

const login = z.strictObject({ name: z.string().min(1), password: z.string().min(1) });

/** `secrets.json`: the roles that Matriarch makes, with passwords drawn at random. */
export const secretsSchema = z.strictObject({
  version: z.literal(1),
  /** For people and applications; the connection URLs carry it. */
  superuser: login,
  /** For the agents' own SQL; let in while the gate is closed. */
  agent: login,
  /** For streaming, base backups and rewinds; used by agents alone. */
  replication: login,
});
export type Secrets = z.output<typeof secretsSchema>;

/** `connection.json`: complete libpq URLs. */
export interface ConnectionUrls {
  /** Through the proxy; where there is none, as `direct`. */
  readonly readWrite: string;
  readonly readOnly: string;
  /** Names every member, so that the client finds the primary itself. */
  readonly direct: string;
}
