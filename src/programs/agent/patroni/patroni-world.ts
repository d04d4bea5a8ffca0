import type { PostgresServer } from '#adapters/postgres/postgres-server.ts';
import type { TlsIdentity } from '#adapters/tls/tls-files.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import type { AgentLog } from '../agent-log.ts';
import type { Served } from '../routes.ts';
import { StoredConfig } from './change-config.ts';
import type { PatroniExtras } from './patroni-status.ts';
import { type PatroniView, patroniView } from './patroni-view.ts';
import { SharedQuestion } from './shared-question.ts';

export interface PatroniWorldOptions extends Pick<Served, 'state' | 'clock' | 'store' | 'checker' | 'command'> {
  readonly config: Pick<MemberConfig, 'cluster' | 'patroniApi'>;
  readonly identity: () => TlsIdentity;
  readonly server: Pick<PostgresServer, 'updateParameters' | 'reload' | 'pendingRestart'>;
  /** When the store last answered, in milliseconds since 1970. */
  readonly storeSeenAtMs: () => number | null;
  readonly log: Pick<AgentLog, 'info' | 'warn' | 'error'>;
}

/** Each look costs the server a connection. */
const PENDING_FRESH_MS = 1000;

/** What Patroni's API is answered from and carried out with. */
export class PatroniWorld {
  readonly options: PatroniWorldOptions;
  readonly config: StoredConfig;
  readonly #pending: SharedQuestion<readonly string[] | undefined>;

  constructor(options: PatroniWorldOptions) {
    this.options = options;
    this.config = new StoredConfig(options);
    const ask = () => options.server.pendingRestart().catch(() => undefined);
    this.#pending = new SharedQuestion(ask, PENDING_FRESH_MS);
  }

  view(): PatroniView {
    const { state, clock, config } = this.options;
    return patroniView(state(), clock(), config.cluster);
  }

  /** What costs no question to the server. */
  briefly(): PatroniExtras {
    return { storeSeenAtMs: this.options.storeSeenAtMs() };
  }

  async fully(): Promise<PatroniExtras> {
    return { ...this.briefly(), pendingRestart: await this.pendingRestart() };
  }

  /** Undefined when the server cannot be asked. */
  pendingRestart(): Promise<readonly string[] | undefined> {
    return this.#pending.answer();
  }
}
