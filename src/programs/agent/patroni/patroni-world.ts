import type { PostgresServer } from '#adapters/postgres/postgres-server.ts';
import type { TlsIdentity } from '#adapters/tls/tls-files.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import type { AgentLog } from '../agent-log.ts';
import type { Served } from '../routes.ts';
import type { PatroniExtras } from './patroni-status.ts';
import { type PatroniView, patroniView } from './patroni-view.ts';
import { PendingRestart } from './pending-restart.ts';

export interface PatroniWorldOptions extends Pick<Served, 'state' | 'clock' | 'store' | 'checker' | 'command'> {
  readonly config: Pick<MemberConfig, 'cluster' | 'patroniApi'>;
  readonly tls: TlsIdentity;
  readonly server: Pick<PostgresServer, 'updateParameters' | 'reload' | 'pendingRestart'>;
  /** When the store last answered, in milliseconds since 1970. */
  readonly storeSeenAtMs: () => number | null;
  readonly log: Pick<AgentLog, 'info' | 'warn' | 'error'>;
}

/** What Patroni's API is answered from and carried out with. */
export class PatroniWorld {
  readonly options: PatroniWorldOptions;
  readonly #pending: PendingRestart;

  constructor(options: PatroniWorldOptions) {
    this.options = options;
    this.#pending = new PendingRestart(() => options.server.pendingRestart());
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
    return this.#pending.names();
  }
}
