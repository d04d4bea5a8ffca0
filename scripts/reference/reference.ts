import { commandsReference } from './commands.ts';
import { configurationReference } from './configuration.ts';
import { errorsReference } from './errors.ts';
import { metricsReference } from './metrics.ts';
import { postgresClusterReference } from './postgres-cluster.ts';
import { statusReference } from './status.ts';

const NOTICE = '<!-- Generated from the code by `npm run docs`. Changes go there. -->\n\n';

/** The pages of docs/reference by their file names. */
export function renderReference(): Readonly<Record<string, string>> {
  return {
    'commands.md': NOTICE + commandsReference(),
    'configuration.md': NOTICE + configurationReference(),
    'errors.md': NOTICE + errorsReference(),
    'postgres-cluster.md': NOTICE + postgresClusterReference(),
    'proxy-metrics.md': NOTICE + metricsReference(),
    'status.md': NOTICE + statusReference(),
  };
}
