// The supervisor of a cluster that was brought up with --detach. Its standard output is its log; it ends on SIGTERM.
import { openFolder } from '#programs/cli/cluster-folder.ts';
import { reportError } from '#programs/cli/report-error.ts';
import { supervise } from './run-cluster.ts';
import { stopSignal } from './stop-signal.ts';

try {
  const cluster = await openFolder(process.argv[2]);
  const say = (member: string, text: string) => process.stdout.write(`${new Date().toISOString()} ${member}: ${text}\n`);
  await supervise(cluster, stopSignal(), say, async () => {});
} catch (error) {
  process.exitCode = reportError(error);
}
