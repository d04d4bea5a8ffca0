import { z } from 'zod';
import { DEFAULT_TIMINGS } from '../timings.ts';
import { accessLineProblem } from './access-line.ts';
import { OWNED_PARAMETERS, PARAMETER_CHOICES, PARAMETER_MINIMUM, WHOLE_NUMBERS } from './owned-parameters.ts';
import { sharedProxySchema } from './proxy-config.ts';
import { parseBytes, parseDurationMs } from './quantity.ts';

/** Milliseconds, or text with a unit (`1500ms`, `2s`). */
function duration(minimumMs: number, maximumMs: number, description: string) {
  return z
    .preprocess(
      (value) => (typeof value === 'string' ? (parseDurationMs(value) ?? value) : value),
      z.int().min(minimumMs).max(maximumMs),
    )
    .meta({ description, example: '1500ms, 2s', unit: 'milliseconds' });
}

/** Bytes, or text with a unit (`16MB`). */
function size(maximumBytes: number, description: string) {
  return z
    .preprocess((value) => (typeof value === 'string' ? (parseBytes(value) ?? value) : value), z.int().min(0).max(maximumBytes))
    .meta({ description, example: '512kB, 16MB', unit: 'bytes' });
}

const timings = z
  .strictObject({
    heartbeatMs: duration(20, 10_000, 'How often the leader asks every member for a confirmation.').default(
      DEFAULT_TIMINGS.heartbeatMs,
    ),
    fenceMs: duration(
      100,
      60_000,
      'How long a confirmation counts. A leader without fresh confirmations stops serving after this time.',
    ).default(DEFAULT_TIMINGS.fenceMs),
    suspectAfterMs: duration(
      110,
      120_000,
      'Silence of the leader after which a member may promise itself to another. At least 1.1 times fenceMs.',
    ).default(DEFAULT_TIMINGS.suspectAfterMs),
    leaseMs: duration(
      1000,
      600_000,
      'Without any proof of leadership for this long, a leader ends its server. With `async`, nobody takes over sooner.',
    ).default(DEFAULT_TIMINGS.leaseMs),
    promiseTimeoutMs: duration(100, 60_000, 'How long a candidate waits for promises.').default(DEFAULT_TIMINGS.promiseTimeoutMs),
    drainTimeoutMs: duration(
      0,
      600_000,
      'How long a switchover waits for the transactions that are open when it begins. What is left then is cancelled.',
    ).default(DEFAULT_TIMINGS.drainTimeoutMs),
    handoverTimeoutMs: duration(
      200,
      60_000,
      'How long the old leader of a switchover waits for the new one before it takes the lead back.',
    ).default(DEFAULT_TIMINGS.handoverTimeoutMs),
    degradeAfterMs: duration(
      0,
      3_600_000,
      'With `preferred`: how long commits wait for a standby before the leader goes on alone.',
    ).default(DEFAULT_TIMINGS.degradeAfterMs),
    stopTimeoutMs: duration(
      100,
      600_000,
      'How long a fast stop of the server may last before it becomes an immediate one.',
    ).default(DEFAULT_TIMINGS.stopTimeoutMs),
  })
  .superRefine((value, context) => {
    const problem = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message, input: value });
    if (value.heartbeatMs * 2 > value.fenceMs)
      problem('heartbeatMs', `must be at most half of fenceMs (${value.fenceMs}): one lost heartbeat must not fence a leader`);
    if (value.fenceMs * 1.1 > value.suspectAfterMs)
      problem(
        'suspectAfterMs',
        `must be at least 1.1 times fenceMs (${Math.ceil(value.fenceMs * 1.1)}): nobody may lead before the old leader has stopped`,
      );
    if (value.suspectAfterMs >= value.leaseMs) problem('leaseMs', `must be longer than suspectAfterMs (${value.suspectAfterMs})`);
  })
  .meta({ description: 'The timings of the protocol. They are checked together: fenceMs × 1.1 ≤ suspectAfterMs < leaseMs.' });

const parameters = z
  .record(
    z.string().regex(/^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$/, 'is not the name of a PostgreSQL parameter'),
    z.union([z.string().regex(/^[^\0\n\r]*$/, 'must be one line'), z.number(), z.boolean()]).transform(String),
  )
  .superRefine((value, context) => {
    for (const [name, setting] of Object.entries(value)) {
      const problem = parameterProblem(name.toLowerCase(), setting);
      if (problem !== undefined) context.addIssue({ code: 'custom', path: [name], input: setting, ...problem });
    }
  })
  .meta({ description: 'Parameters for postgresql.conf of every member. Those that Matriarch sets itself are refused.' });

function parameterProblem(name: string, setting: string) {
  const owned = OWNED_PARAMETERS[name];
  if (owned !== undefined) return { message: `belongs to Matriarch: ${owned}`, params: { owned: true } };
  const choice = PARAMETER_CHOICES[name];
  if (choice !== undefined && !choice.choices.includes(setting.toLowerCase()))
    return { message: `must be ${choice.choices.join(' or ')}: ${choice.why}` };
  if (WHOLE_NUMBERS.includes(name) && !/^\d{1,6}$/.test(setting.trim())) return { message: 'must be a whole number' };
  const minimum = PARAMETER_MINIMUM[name];
  if (minimum !== undefined && !(Number(setting) >= minimum)) return { message: `must be at least ${minimum}` };
  return undefined;
}

const MAX_ACCESS_LINES = 256;

const hba = z
  .array(
    z
      .string()
      .max(1000)
      .regex(/^[^\0\n\r#"]*$/, 'must be one line, without quotes or a comment')
      .superRefine((line, context) => {
        const message = accessLineProblem(line);
        if (message !== undefined) context.addIssue({ code: 'custom', message, input: line });
      }),
  )
  .max(MAX_ACCESS_LINES)
  .meta({
    description:
      'Lines of pg_hba.conf, such as `hostssl shop reports 10.1.0.0/16 scram-sha-256` or `hostssl all +staff all reject`. They stand behind those by which members reach each other, and before those that let in everybody with a password; the first that fits a client counts, of those that come through a proxy too, by the address of the proxy. The methods are `scram-sha-256`, `reject` and, with `hostssl`, `cert`.',
  });

export const clusterConfigSchema = z.strictObject({
  durability: z
    .strictObject({
      mode: z.enum(['required', 'preferred', 'async']).default('required').meta({
        description:
          '`required`: a commit waits until `count` standbys have flushed it, however long that takes. `preferred`: after `degradeAfterMs` without a standby the leader records that it is alone and goes on. `async`: no commit waits, and a failover may lose the last ones. `matriarch up` writes `required` with three members or more, `preferred` with two, `async` with one.',
      }),
      count: z.int().min(1).max(16).default(1).meta({
        description: 'How many standbys confirm a commit. At most the number of members minus one. Ignored with `async`.',
      }),
    })
    .prefault({})
    .meta({ description: 'When a commit counts as done.' }),
  timings: timings.prefault({}),
  maximumLagBytes: size(2 ** 50, 'A standby further behind than this is not in the sync set, so no commit waits for it.').default(
    16 * 2 ** 20,
  ),
  maximumLagOnFailoverBytes: size(
    2 ** 50,
    'With `async`: a standby further behind the last known position of the leader than this does not take over by itself.',
  ).default(2 ** 20),
  paused: z.boolean().default(false).meta({
    description: 'No automatic failover, restart, rewind or clone. What people ask for is still done. `matriarch pause` sets it.',
  }),
  postgresql: z
    .strictObject({ parameters: parameters.prefault({}), hba: hba.default([]) })
    .prefault({})
    .meta({ description: 'Settings of the PostgreSQL servers.' }),
  proxy: sharedProxySchema.optional().meta({
    description: 'For every proxy of the cluster, in force within seconds. What the file of a proxy says wins.',
  }),
});

/** The dynamic configuration of a cluster: one document in the store under `config`, the same for every member. */
export type ClusterConfig = z.output<typeof clusterConfigSchema>;
