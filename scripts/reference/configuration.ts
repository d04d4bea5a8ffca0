import { clusterConfigSchema } from '#domain/config/cluster-config.ts';
import { memberConfigSchema } from '#domain/config/member-config.ts';
import { OWNED_PARAMETERS, PARAMETER_CHOICES, PARAMETER_MINIMUM } from '#domain/config/owned-parameters.ts';
import { proxyFileSchema } from '#domain/config/proxy-config.ts';
import { row } from './markdown.ts';
import { settingsTable } from './schema.ts';

/** docs/reference/configuration.md */
export function configurationReference(): string {
  return [
    '# Configuration',
    '',
    '## The cluster',
    '',
    'One document, kept in the store, the same for every member and in force within a second of a change. `matriarch config show` prints it, `config set` and `config edit` change it. A change that is not valid is refused as a whole, and two changes at the same time never overwrite each other.',
    '',
    '```',
    'matriarch config set timings.leaseMs=15s postgresql.parameters.work_mem=64MB',
    '```',
    '',
    ...settingsTable(clusterConfigSchema),
    '',
    '### Parameters that Matriarch sets itself',
    '',
    'They are refused in `postgresql.parameters`, and a value that somebody sets with `ALTER SYSTEM` is taken back.',
    '',
    '| parameter | why |',
    '|---|---|',
    ...Object.entries(OWNED_PARAMETERS).map(([name, why]) => row([`\`${name}\``, why])),
    '',
    'Some take certain values only:',
    '',
    '| parameter | values | why |',
    '|---|---|---|',
    ...Object.entries(PARAMETER_CHOICES).map(([name, { choices, why }]) => row([`\`${name}\``, choices.join(', '), why])),
    ...Object.entries(PARAMETER_MINIMUM).map(([name, minimum]) =>
      row([`\`${name}\``, `at least ${minimum}`, 'members, clones and rewinds need them']),
    ),
    '',
    '## A member',
    '',
    'The file that its agent reads when it starts: `agent.yaml` in the folder of the member. `matriarch up` writes it; a change is in force after the agent has been started again.',
    '',
    ...settingsTable(memberConfigSchema),
    '',
    '## A proxy',
    '',
    'The file that `matriarch proxy --config` reads. `matriarch up` writes one, `proxy/proxy.yaml` in the folder of the cluster, and keeps what people change in it. A change is in force within five seconds, or at once after a SIGHUP; that of `source`, `listen` and `metrics` after the proxy has been started again. One that is not valid changes nothing, and the log names its place. What the cluster says under `proxy` holds where the file says nothing.',
    '',
    ...settingsTable(proxyFileSchema),
    '',
    '## The environment',
    '',
    '| variable | meaning |',
    '|---|---|',
    row(['`MATRIARCH_DIR`', 'The folder of the cluster, where `--dir` is not given.']),
    row([
      '`MATRIARCH_POSTGRES_BIN`',
      'The folder of the PostgreSQL programs for a new cluster, where `--postgres-bin` is not given.',
    ]),
    row(['`MATRIARCH_PROXY_CONFIG`', 'The configuration of `matriarch proxy`, where `--config` is not given.']),
    row(['`NO_COLOR`', 'No colours.']),
    row(['`VISUAL`, `EDITOR`', 'The editor of `matriarch config edit`.']),
    '',
  ].join('\n');
}
