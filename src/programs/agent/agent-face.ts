import type { Because } from '#core/ha/effects.ts';
import type { HaState } from '#core/ha/state.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import type { AgentStatus, ExplainLine, TlsSummary } from '#domain/status.ts';
import type { AgentLog } from './agent-log.ts';
import { agentStatus } from './agent-status.ts';
import { DecisionLog } from './decision-log.ts';

export type ServerRole = 'primary' | 'standby' | 'none';

interface Processes {
  readonly guardPid: number | undefined;
  readonly postgresPid: number | undefined;
}

/** What an agent shows of itself: its log of decisions, and its status. */
export class AgentFace {
  readonly decisions = new DecisionLog();
  readonly #log: AgentLog;
  #progress: string | null = null;
  #state = '';
  #since = new Date().toISOString();
  #storeReachable = true;
  #storeSeenAtMs: number | null = null;
  readonly #unreadable = new Map<string, string>();

  constructor(log: AgentLog) {
    this.#log = log;
  }

  /** After every step of the core. `onRole` hears of each change of what the server is. */
  seen(state: HaState, because: readonly Because[], onRole: (role: ServerRole) => void): void {
    for (const reason of this.decisions.add(because, new Date().toISOString())) this.#log.decision(reason, state);
    const name = state.published?.state ?? '';
    if (name === this.#state) return;
    this.#state = name;
    this.#since = new Date().toISOString();
    onRole(roleOf(state));
  }

  /** A key of the store that cannot be read, and why; null when it can. */
  passedOver(key: string, why: string | null): void {
    if (why === null) return void this.#unreadable.delete(key);
    if (this.#unreadable.get(key) !== why) this.#log.warn('store', `${key} is left alone: ${why}`);
    this.#unreadable.set(key, why);
  }

  /** What a person should know besides the decisions of the core. */
  notes(): readonly ExplainLine[] {
    return [...this.#unreadable].map(([key, why]) => ({
      rule: 'format',
      holds: false,
      text: `${key} in the store is left alone: ${why}`,
      toChange: 'the release of Matriarch that wrote it, on this machine too',
    }));
  }

  progress(text: string): void {
    this.#progress = text;
  }

  /** After every call to the store. */
  storeAnswered(ok: boolean): void {
    if (ok !== this.#storeReachable) this.#log.warn('store', ok ? 'it answers again' : 'it does not answer');
    this.#storeReachable = ok;
    if (ok) this.#storeSeenAtMs = Date.now();
  }

  /** When it last answered, in milliseconds since 1970. */
  get storeSeenAtMs(): number | null {
    return this.#storeSeenAtMs;
  }

  pendingRestart(names: readonly string[]): void {
    if (names.length > 0) this.#log.warn('config', `only a restart brings these into force: ${names.join(', ')}`);
  }

  status(state: HaState, config: MemberConfig, tls: TlsSummary, { guardPid, postgresPid }: Processes): AgentStatus {
    return agentStatus(state, {
      cluster: config.cluster,
      api: `${config.api.host}:${config.api.port}`,
      stateSince: this.#since,
      tls,
      progress: state.job === null ? null : this.#progress,
      storeReachable: this.#storeReachable,
      agentPid: process.pid,
      guardPid: guardPid ?? null,
      postgresPid: postgresPid ?? null,
    });
  }
}

function roleOf(state: HaState): ServerRole {
  if (state.role.kind === 'leader' && (state.role.phase === 'serving' || state.role.phase === 'gating')) return 'primary';
  return state.server?.state === 'standby' ? 'standby' : 'none';
}
