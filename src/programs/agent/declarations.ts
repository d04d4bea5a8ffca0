import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { PostgresServer } from '#adapters/postgres/postgres-server.ts';
import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import { fail } from '#domain/errors.ts';
import type { Store } from '#domain/ports/store.ts';
import type { ConfigChecker } from '#programs/config-check/config-checker.ts';
import { watchFiles } from '#programs/proxy/watch-files.ts';
import type { AgentLog } from './agent-log.ts';
import { KEYS } from './store-feed.ts';

export interface DeclarationsOptions {
  readonly config: MemberConfig;
  readonly checker: ConfigChecker;
  readonly store: Store;
  readonly server: Pick<PostgresServer, 'useSecrets' | 'putPasswords'>;
  /** Does this member lead, provably, at this moment? */
  readonly leads: () => boolean;
  readonly log: AgentLog;
  readonly signal: AbortSignal;
}

const EVERY_MS = 1000;

/** Errors: `config.…`. Undefined where nothing is declared. */
export async function readDeclared(
  { declaredConfig }: Pick<MemberConfig, 'declaredConfig'>,
  checker: ConfigChecker,
): Promise<ClusterConfig | undefined> {
  if (declaredConfig === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(declaredConfig, 'utf8');
  } catch (error) {
    return fail('config.unreadable', (error as Error).message, error);
  }
  return checker.declared(text, declaredConfig);
}

/**
 * Where the configuration and the passwords of the cluster are declared in files: every member reads them as they change, and the one
 * that leads puts them into force. At rest it asks nobody anything.
 */
export class Declarations {
  readonly #options: DeclarationsOptions;
  #declared: ClusterConfig | undefined;
  /** A pause that was declared is declared no more. */
  #resumes = false;
  /** What the store says, as it was last heard. */
  #stored: ClusterConfig | undefined;
  #led = false;
  #passwordsKept = false;
  #told = '';

  constructor(options: DeclarationsOptions) {
    this.#options = options;
  }

  /** Never rejects; without a declared configuration it does nothing. */
  async follow(): Promise<void> {
    const { config, signal } = this.#options;
    const { declaredConfig, secretsFile } = config;
    if (declaredConfig === undefined) return;
    await this.#try(() => this.#readConfig());
    void watchFiles(
      () => [declaredConfig],
      () => void this.#try(() => this.#readConfig()),
      signal,
    );
    void watchFiles(
      () => [secretsFile],
      () => void this.#try(() => this.#readSecrets()),
      signal,
    );
    const timer = setInterval(() => void this.#look(), EVERY_MS);
    signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  heard(config: ClusterConfig): void {
    this.#stored = config;
  }

  #looking = false;

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const leads = this.#options.leads();
    if (leads && !this.#led) this.#passwordsKept = false;
    this.#led = leads;
    if (leads) {
      await this.#try(() => this.#putConfig());
      await this.#try(() => this.#putPasswords());
    }
    this.#looking = false;
  }

  async #readConfig(): Promise<void> {
    const { config, checker } = this.#options;
    const before = this.#declared;
    this.#declared = await readDeclared(config, checker);
    this.#resumes = before?.paused === true && this.#declared?.paused === false;
  }

  async #readSecrets(): Promise<void> {
    const { config, checker, server, log } = this.#options;
    const secrets = await checker.secrets(await readFile(config.secretsFile, 'utf8'), config.secretsFile);
    await server.useSecrets(secrets);
    this.#passwordsKept = false;
    log.info('secrets', 'the passwords were read anew');
  }

  async #putConfig(): Promise<void> {
    const { store, checker, log } = this.#options;
    if (this.#declared === undefined || this.#stored === undefined) return;
    if (isDeepStrictEqual(this.#wanted(this.#declared, this.#stored), this.#stored)) return;
    const found = await store.get(KEYS.config);
    const stored = await checker.cluster(found?.value ?? {}, 'config in the store');
    const wanted = this.#wanted(this.#declared, stored);
    const outcome = await store.compareAndSet(KEYS.config, found?.version ?? null, wanted);
    if (!outcome.ok) return;
    this.#stored = wanted;
    this.#resumes = false;
    log.info('config', 'the declared configuration is in the store');
  }

  /** A pause is people's, too: that none is declared does not end theirs. */
  #wanted(declared: ClusterConfig, stored: ClusterConfig): ClusterConfig {
    return { ...declared, paused: declared.paused || (stored.paused && !this.#resumes) };
  }

  async #putPasswords(): Promise<void> {
    const { server, log } = this.#options;
    if (this.#passwordsKept) return;
    const changed = await server.putPasswords();
    this.#passwordsKept = true;
    for (const name of changed) log.info('secrets', `${name} has the password that is declared`);
  }

  /** What fails is tried again, and told once. */
  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#told = '';
    } catch (error) {
      const why = (error as Error).message;
      if (why !== this.#told) this.#options.log.warn('declared', why);
      this.#told = why;
    }
  }
}
