// One member of a cluster: `matriarch agent --config FILE`.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { DEFAULT_CONFIG_FILE } from '#domain/config/cluster-paths.ts';
import { fail } from '#domain/errors.ts';
import { reportError } from '#programs/cli/report-error.ts';
import { ConfigChecker } from '#programs/config-check/config-checker.ts';

const controller = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => controller.abort());

try {
  const file = configFile();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    fail('config.unreadable', (error as Error).message, error);
  }
  const checker = new ConfigChecker();
  // The checking process starts while this one loads the agent: on the way back from a crash every tenth of a second counts.
  const [config, { runAgent }, { AgentLog }] = await Promise.all([
    checker.member(text, file),
    import('./agent.ts'),
    import('./agent-log.ts'),
  ]);
  await runAgent({ config, checker, log: new AgentLog(config.name), signal: controller.signal });
  process.exit(0);
} catch (error) {
  // Not by the exit code alone: the thread of the store would keep an agent that cannot start alive, with nobody to start it again.
  process.exit(reportError(error));
}

function configFile(): string {
  try {
    const { values } = parseArgs({ options: { config: { type: 'string' } } });
    return values.config ?? process.env.MATRIARCH_CONFIG ?? DEFAULT_CONFIG_FILE;
  } catch (error) {
    return fail('usage.invalidArgument', (error as Error).message, error);
  }
}
