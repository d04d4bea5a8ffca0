import type { ApiResponse } from '#adapters/http/router.ts';
import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import { fail, MatriarchError } from '#domain/errors.ts';
import type { Served } from '../routes.ts';
import { KEYS } from '../store-feed.ts';
import { configView, inPatroniNames } from './config-view.ts';
import type { PatroniWorld } from './patroni-world.ts';

const RELOAD_TIMEOUT_MS = 5000;

interface Stored {
  readonly version: number | null;
  readonly config: ClusterConfig;
}

/** As it stands in the store, with defaults filled in. */
export class StoredConfig {
  readonly #options: Pick<Served, 'store' | 'checker'>;
  #known: Stored | undefined;

  constructor(options: Pick<Served, 'store' | 'checker'>) {
    this.#options = options;
  }

  /** Always asks the store. The checker is a process, which nobody may start by asking again for what has not changed. */
  async read(signal: AbortSignal): Promise<Stored> {
    const { store, checker } = this.#options;
    const found = await store.get(KEYS.config, { signal });
    const version = found?.version ?? null;
    if (this.#known?.version !== version)
      this.#known = { version, config: await checker.cluster(found?.value ?? {}, 'config in the store') };
    return this.#known;
  }
}

/** PATCH and PUT: checked as a whole, and written only over what was read. Errors: `config.invalid`, `config.owned`, `config.conflict`. */
export async function changeConfig(
  world: PatroniWorld,
  change: (config: ClusterConfig) => unknown,
  signal: AbortSignal,
): Promise<ApiResponse> {
  const { store } = world.options;
  const { version, config } = await world.config.read(signal);
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
    const { config } = await world.config.read(AbortSignal.timeout(RELOAD_TIMEOUT_MS));
    await server.updateParameters(config.postgresql.parameters);
  } catch (error) {
    log.warn('patroni', `reload: ${(error as Error).message}`);
  }
  server.reload();
}
