import { performance } from 'node:perf_hooks';
import { type ProxyFile, sharedProxySchema } from '#domain/config/proxy-config.ts';
import { fail, MatriarchError } from '#domain/errors.ts';
import { readClientTls } from './client-certificate.ts';
import { createMetricsDoor } from './metrics-door.ts';
import type { OpenLog } from './open-log.ts';
import { type OpenSource, openSource } from './open-source.ts';
import { type ClientTls, createProxy } from './proxy.ts';
import type { ProxySettings } from './proxy-settings.ts';
import { watchFiles } from './watch-files.ts';

/** What is read once: the rest is in force as soon as it is read again. */
const FIXED = ['source', 'listen', 'metrics'] as const;

/** One connection in ten is left for others: people, backups, a second proxy that is just taking over. */
const FOR_CLIENTS = 0.9;
/** How often the limits of the primary are looked at, which change with its restart. */
const LOOK_EVERY_MS = 1000;

/** One proxy with what belongs to it: its source, its metrics, and the files it follows. */
export class ProxyProgram {
  readonly #settings: ProxySettings;
  readonly #log: OpenLog;
  readonly #first: ProxyFile;
  readonly #source: OpenSource;
  readonly #proxy: ReturnType<typeof createProxy>;
  readonly #stopping = new AbortController();
  #config: ProxyFile;
  #clientTls: ClientTls | null;
  #draining = false;
  #capacity: number | null = null;
  #looking: NodeJS.Timeout | undefined;
  #withoutPrimarySince: number | undefined;
  #closeDoor: () => Promise<void> = async () => {};

  private constructor(settings: ProxySettings, config: ProxyFile, log: OpenLog, source: OpenSource) {
    this.#settings = settings;
    this.#log = log;
    this.#first = config;
    this.#config = config;
    this.#clientTls = readClientTls(config.tls);
    this.#source = source;
    const { topology, roles, serverTls } = source;
    this.#proxy = createProxy({ config, topology, roles, serverTls, clientTls: () => this.#clientTls, log: log.logger });
  }

  /** Serves clients when it resolves. Errors: `port.taken`, and those of the source and of its files. */
  static async start(settings: ProxySettings, config: ProxyFile, log: OpenLog): Promise<ProxyProgram> {
    readClientTls(config.tls);
    let running: ProxyProgram | undefined;
    const source = await openSource(config.source, log.logger, (said) => running?.follow(said));
    try {
      running = new ProxyProgram(settings, config, log, source);
      await running.#open();
      return running;
    } catch (error) {
      if (running === undefined) await source.close();
      else await running.stop();
      throw error;
    }
  }

  /** What has changed in the files is in force afterwards, or refused as a whole and told. */
  reload(): void {
    this.#log.reopen();
    this.#change('the configuration', () => this.#settings.read());
  }

  /** No new clients; resolves when the old ones have ended their transactions, or the time for that has passed. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#log.logger.info({ part: 'proxy' }, 'ending: clients go when their transactions end');
    await this.#proxy.drain();
  }

  /** Ends at once whatever still runs. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearInterval(this.#looking);
    await this.#proxy.stop();
    await Promise.all([this.#closeDoor(), this.#source.close()]);
  }

  async #open(): Promise<void> {
    const { topology } = this.#source;
    const { signal } = this.#stopping;
    const look = ({ primary }: { readonly primary: unknown }) => {
      this.#withoutPrimarySince = primary === null ? (this.#withoutPrimarySince ?? performance.now()) : undefined;
    };
    look(topology.view);
    topology.subscribe((view) => {
      look(view);
      this.#fit();
      return undefined;
    });
    this.#fit();
    await this.#openDoor();
    await this.#proxy.start();
    const { host } = this.#first.listen;
    this.#log.logger.info({ part: 'proxy', pid: process.pid }, `clients are served at ${host}:${this.#proxy.port}`);
    void watchFiles(
      () => this.#files(),
      () => this.reload(),
      signal,
    );
    this.#looking = setInterval(() => this.#fit(), LOOK_EVERY_MS);
  }

  /** What the cluster says of its proxies. Of a newer release it may hold what this one does not know: then nothing is changed. */
  follow(said: Readonly<Record<string, unknown>>): void {
    this.#change('the configuration of the cluster', () => {
      const shared = sharedProxySchema.safeParse(said);
      if (!shared.success) fail('config.invalid', `the configuration of the cluster: ${shared.error.message}`);
      return this.#settings.share(shared.data);
    });
  }

  /** As many server connections as the primary has, less some for others, where no number was configured. */
  #fit(): void {
    const capacity = this.#source.capacity();
    if (capacity === null || capacity === this.#capacity) return;
    this.#capacity = capacity;
    this.#proxy.reload(this.#fitted());
  }

  #fitted(): ProxyFile {
    const { limits } = this.#config;
    if (limits.servers !== undefined || this.#capacity === null) return this.#config;
    return { ...this.#config, limits: { ...limits, servers: Math.max(1, Math.floor(this.#capacity * FOR_CLIENTS)) } };
  }

  async #openDoor(): Promise<void> {
    const { metrics: listen } = this.#first;
    if (listen === undefined) return;
    const { topology } = this.#source;
    const door = createMetricsDoor({
      listen,
      metrics: () => {
        const { primary, epoch } = topology.view;
        return { stats: this.#proxy.stats(), hasPrimary: primary !== null, epoch, draining: this.#draining };
      },
      health: () => ({
        view: topology.view,
        stats: this.#proxy.stats(),
        draining: this.#draining,
        withoutPrimaryMs: this.#withoutPrimarySince === undefined ? 0 : performance.now() - this.#withoutPrimarySince,
        holdMs: this.#config.timeouts.holdMs,
      }),
      onError: (error) => this.#log.logger.error({ part: 'metrics' }, String((error as Error).stack ?? error)),
    });
    await door.start();
    this.#closeDoor = () => door.stop();
  }

  /** Those whose change is followed without a signal. */
  #files(): readonly string[] {
    const { certificateFile, keyFile, clientCaFile } = this.#config.tls;
    return [this.#settings.path, certificateFile, keyFile, clientCaFile].filter((file) => file !== undefined);
  }

  #change(what: string, read: () => ProxyFile): void {
    try {
      this.#apply(read(), what);
    } catch (error) {
      if (!(error instanceof MatriarchError)) throw error;
      this.#log.logger.error({ part: 'config', code: error.code }, `nothing was changed: ${error.message}`);
    }
  }

  #apply(next: ProxyFile, what: string): void {
    const clientTls = readClientTls(next.tls);
    const fixed = FIXED.filter((name) => JSON.stringify(next[name]) !== JSON.stringify(this.#first[name]));
    if (fixed.length > 0)
      this.#log.logger.warn({ part: 'config' }, `${fixed.join(', ')}: in force after the proxy has been started again`);
    this.#config = { ...next, source: this.#first.source, listen: this.#first.listen, metrics: this.#first.metrics };
    this.#clientTls = clientTls;
    this.#log.logger.level = next.log.level;
    this.#proxy.reload(this.#fitted());
    this.#log.logger.info({ part: 'config' }, `${what} is in force`);
  }
}
