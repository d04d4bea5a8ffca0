import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusDocument } from '#domain/status-document.ts';
import { askEveryone } from './ask.ts';
import { askProxy } from './ask-proxy.ts';
import type { Cluster } from './cluster.ts';
import { composeStatus } from './compose-status.ts';
import { openCluster, type Where } from './open-cluster.ts';
import { paintFor } from './paint.ts';
import { renderStatus } from './render-status.ts';
import { EXIT_CODES } from './report-error.ts';
import { Screen } from './screen.ts';

const WATCH_EVERY_MS = 1000;

export async function readStatus(cluster: Cluster): Promise<StatusDocument> {
  const { proxy } = cluster;
  const [answers, health] = await Promise.all([askEveryone(cluster), proxy === null ? undefined : askProxy(proxy)]);
  return composeStatus(cluster, answers, cluster.connection(), health);
}

interface StatusOptions extends Where {
  readonly output: 'table' | 'json';
  readonly watch?: boolean;
}

/** A cluster of which no agent answers is shown all the same; the exit code says it. */
export async function status(options: StatusOptions): Promise<void> {
  const screen =
    process.stdout.isTTY && options.output === 'table' && options.watch === true ? new Screen(process.stdout) : undefined;
  for (;;) {
    // Opened each time: members join and leave.
    const document = await readStatus(await openCluster(options));
    const text =
      options.output === 'json' ? toJson(document, options.watch) : renderStatus(document, Date.now(), paintFor(process.stdout));
    if (screen === undefined) process.stdout.write(`${text}\n`);
    else screen.paint(text);
    if (options.watch !== true) {
      if (document.members.every((member) => member.state === 'unreachable')) process.exitCode = EXIT_CODES.notRunning;
      return;
    }
    await sleep(WATCH_EVERY_MS);
  }
}

/** With `--watch`, one document a line, so that programs can read them as they come. */
function toJson(document: StatusDocument, watch: boolean | undefined): string {
  return watch === true ? JSON.stringify(document) : JSON.stringify(document, null, 2);
}
