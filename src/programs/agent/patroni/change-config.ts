import type { ApiResponse } from '#adapters/http/router.ts';
import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import { fail, MatriarchError } from '#domain/errors.ts';
import { KEYS } from '../store-feed.ts';
import { configView, inPatroniNames } from './config-view.ts';
import type { PatroniWorld } from './patroni-world.ts';

interface Stored {
  readonly version: number | null;
  readonly config: ClusterConfig;
}

export async function readConfig({ options }: PatroniWorld, signal: AbortSignal): Promise<Stored> {
  const found = await options.store.get(KEYS.config, { signal });
  const config = await options.checker.cluster(found?.value ?? {}, 'config in the store');
  return { version: found?.version ?? null, config };
}

/** PATCH and PUT: checked as a whole, and written only over what was read. Errors: `config.invalid`, `config.owned`, `config.conflict`. */
export async function changeConfig(
  world: PatroniWorld,
  change: (config: ClusterConfig) => unknown,
  signal: AbortSignal,
): Promise<ApiResponse> {
  const { store } = world.options;
  const { version, config } = await readConfig(world, signal);
  const checked = await check(world, change(config));
  const outcome = await store.compareAndSet(KEYS.config, version, checked, { signal });
  if (!outcome.ok) return fail('config.conflict', 'somebody else changed the configuration at this moment');
  return { status: 200, json: configView(checked) };
}

async function check({ options }: PatroniWorld, value: unknown): Promise<ClusterConfig> {
  try {
    return await options.checker.cluster(value, 'config');
  } catch (error) {
    if (error instanceof MatriarchError && (error.code === 'config.invalid' || error.code === 'config.owned'))
      return fail(error.code, inPatroniNames(error.message));
    throw error;
  }
}

/** POST /reload: what stands in the store, written anew; and the server reads all its files again. */
export async function reload(world: PatroniWorld): Promise<void> {
  const { server, log } = world.options;
  try {
    const { config } = await readConfig(world, AbortSignal.timeout(5000));
    await server.updateParameters(config.postgresql.parameters);
  } catch (error) {
    log.warn('patroni', `reload: ${(error as Error).message}`);
  }
  server.reload();
}
