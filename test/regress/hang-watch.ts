import { setTimeout as sleep } from 'node:timers/promises';
import type { PlainServer } from '../support/plain-server.ts';

const LOOK_EVERY_MS = 2000;
/** No statement of the suite takes as long on a machine that is not overloaded; most take milliseconds. */
const HANGS_S = 45;

const FIND = `SELECT pid, query FROM pg_stat_activity
  WHERE datname = 'regression' AND state = 'active' AND pid <> pg_backend_pid()
    AND clock_timestamp() - state_change > interval '${HANGS_S} s'`;

/**
 * A statement that waits for a lock which another client's session has left on a shared connection waits for ever. It is ended, so that
 * the rest of the suite can go on, and is a difference. Returns a function that stops the watch and returns the statements.
 */
export function watchForHangs(server: PlainServer): () => Promise<readonly string[]> {
  const stop = new AbortController();
  const hung: string[] = [];
  const watching = (async () => {
    while (!stop.signal.aborted) {
      await sleep(LOOK_EVERY_MS, undefined, { signal: stop.signal }).catch(() => {});
      for (const { pid, query } of await server.sql(FIND).catch(() => [])) {
        hung.push(String(query));
        await server.sql(`SELECT pg_terminate_backend(${pid})`);
      }
    }
  })();
  return async () => {
    stop.abort();
    await watching;
    return hung;
  };
}
