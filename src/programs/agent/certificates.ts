import { checkIdentity, summarize } from '#adapters/tls/check-identity.ts';
import { watchIdentity } from '#adapters/tls/identity-watch.ts';
import { readTlsFiles, type TlsIdentity } from '#adapters/tls/tls-files.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import { fail } from '#domain/errors.ts';
import type { ExplainLine, TlsSummary } from '#domain/status.ts';
import type { AgentLog } from './agent-log.ts';

const DAY_MS = 86_400_000;
/** People are told so long before the end. */
const WARN_MS = 30 * DAY_MS;

/** The certificates that the agent lives by: as they were at its start, then whatever sound ones take their place in the folder. */
export class Certificates {
  readonly #config: MemberConfig;
  readonly #log: AgentLog;
  #current: TlsIdentity;
  #summary: TlsSummary;
  #refused: string | null = null;

  private constructor(config: MemberConfig, log: AgentLog, current: TlsIdentity) {
    this.#config = config;
    this.#log = log;
    this.#current = current;
    this.#summary = summarize(current);
  }

  /** Errors: `tls.invalid`. */
  static async read(config: MemberConfig, log: AgentLog): Promise<Certificates> {
    const identity = await readTlsFiles(config.tlsDir);
    try {
      checkIdentity(identity, config.name);
    } catch (error) {
      fail('tls.invalid', `${config.tlsDir}: ${(error as Error).message}`, error);
    }
    return new Certificates(config, log, identity);
  }

  get current(): TlsIdentity {
    return this.#current;
  }

  get summary(): TlsSummary {
    return this.#summary;
  }

  /** `use` puts certificates to use everywhere; what it rejects is tried again. Never rejects. */
  async watch(use: (identity: TlsIdentity) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { tlsDir, name } = this.#config;
    const reminder = setInterval(() => this.#remind(), DAY_MS).unref();
    signal.addEventListener('abort', () => clearInterval(reminder), { once: true });
    this.#remind();
    const apply = async (identity: TlsIdentity) => {
      try {
        await use(identity);
      } catch (error) {
        this.#log.warn('tls', `the new certificates are not in use yet: ${(error as Error).message}`);
        throw error;
      }
      this.#current = identity;
      this.#summary = summarize(identity);
      this.#refused = null;
      this.#log.info('tls', `uses the new files in ${tlsDir}; the certificate is valid until ${this.#summary.expires}`);
    };
    const onRefused = (why: string) => {
      this.#refused = why;
      this.#log.warn('tls', `the files in ${tlsDir} are refused, the old ones stay in use: ${why}`);
    };
    await watchIdentity({ folder: tlsDir, name, current: this.#current, apply, onRefused, signal });
  }

  /** What a person should know. */
  explain(now = Date.now()): readonly ExplainLine[] {
    const leftMs = Date.parse(this.#summary.expires) - now;
    const days = Math.floor(leftMs / DAY_MS);
    const renew = '`matriarch certificates renew`';
    return [
      ...(this.#refused === null
        ? []
        : [tlsLine(`the files in ${this.#config.tlsDir} are refused: ${this.#refused}`, 'files that belong together')]),
      ...(leftMs > WARN_MS
        ? []
        : [tlsLine(leftMs > 0 ? `its certificate runs out in ${days} days` : 'its certificate has run out', renew)]),
    ];
  }

  #remind(): void {
    for (const { text, toChange } of this.explain()) this.#log.warn('tls', `${text}; it takes ${toChange}`);
  }
}

function tlsLine(text: string, toChange: string): ExplainLine {
  return { rule: 'tls', holds: false, text, toChange };
}
