import type { ApiRequest, TextResponse } from '#adapters/http/router.ts';
import { MatriarchError } from '#domain/errors.ts';
import { leaderHeardAt } from './patroni-view.ts';
import type { PatroniWorld } from './patroni-world.ts';
import { readRestart, whyNoRestart } from './restart-filters.ts';

const ELAPSED = Symbol('elapsed');

/** POST /restart */
export async function restart(world: PatroniWorld, { body, signal }: ApiRequest): Promise<TextResponse> {
  const request = readRestart(body);
  if (request.scheduled)
    return { status: 501, text: 'Nothing can be scheduled here: leave schedule out, and call when it is to happen' };
  const pending = request.onlyPending ? await world.pendingRestart() : undefined;
  const why = whyNoRestart(request, world.view(), pending);
  if (why !== null) return { status: 503, text: `restart conditions are not satisfied: ${why}` };
  try {
    const done = world.options.command({ kind: 'restart' }, signal);
    if ((await within(done, request.timeoutMs)) === ELAPSED)
      return { status: 503, text: 'restart not finished within the timeout; it goes on' };
    return { status: 200, text: 'restarted successfully' };
  } catch (error) {
    if (!(error instanceof MatriarchError)) throw error;
    return { status: 503, text: `restart failed: ${error.message}` };
  }
}

async function within<T>(promise: Promise<T>, timeoutMs: number | undefined): Promise<T | typeof ELAPSED> {
  if (timeoutMs === undefined) return promise;
  const elapsed = Promise.withResolvers<typeof ELAPSED>();
  const timer = setTimeout(() => elapsed.resolve(ELAPSED), timeoutMs);
  promise.catch(() => {});
  try {
    return await Promise.race([promise, elapsed.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** POST /reinitialize: answered when it has begun. What becomes of it is told by the log and by /patroni. */
export async function reinitialize(world: PatroniWorld): Promise<TextResponse> {
  const { state, clock, command, log } = world.options;
  if (state().role.kind === 'leader') return { status: 503, text: 'I am the leader, can not reinitialize' };
  if (clock() - leaderHeardAt(state()) > state().config.timings.leaseMs)
    return { status: 503, text: 'Cluster has no leader, can not reinitialize' };
  const already = state().reinit !== null;
  const done = command({ kind: 'reinit' }, new AbortController().signal);
  if (already || state().reinit === null) {
    try {
      await done;
    } catch (error) {
      return { status: 503, text: `reinitialize failed: ${(error as Error).message}` };
    }
  }
  done.catch((error: unknown) => log.warn('patroni', `reinitialize: ${(error as Error).message}`));
  return { status: 200, text: 'reinitialize started' };
}
