import type { Socket } from 'node:net';
import type { AgentView } from '#adapters/proxy-link/messages.ts';
import { ProxyLinks } from '#adapters/proxy-link/proxy-links.ts';
import { holdsLead } from '#core/ha/holds-lead.ts';
import type { HaState } from '#core/ha/state.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import type { SharedProxyConfig } from '#domain/config/proxy-config.ts';
import type { RoleFacts } from '#domain/ports/roles.ts';
import type { AgentLog } from './agent-log.ts';

export interface ProxyDeskOptions {
  readonly config: MemberConfig;
  /** Where the server's Unix socket lies. */
  readonly socketDir: string;
  readonly state: () => HaState;
  readonly clock: () => number;
  readonly lookup: (role: string, database: string) => Promise<RoleFacts | null>;
  readonly log: AgentLog;
}

interface Holding {
  readonly isHandover: boolean;
  readonly ended: AbortController;
}

/**
 * What the proxies are told, and asked: who serves, who may log in, and before a planned stop of the primary to let end what runs.
 * Without that question a statement that a proxy has just written into the socket of an idle server process, which is in no view of
 * PostgreSQL as yet, would be lost with it.
 */
export class ProxyDesk {
  readonly #options: ProxyDeskOptions;
  readonly #links: ProxyLinks;
  #limits: Pick<AgentView, 'maxConnections' | 'reservedConnections'> = { maxConnections: null, reservedConnections: null };
  #holding: Holding | null = null;
  #settings: AgentView['settings'];

  constructor(options: ProxyDeskOptions) {
    this.#options = options;
    const { lookup } = options;
    this.#links = new ProxyLinks({ view: (isLocal) => this.#view(isLocal), lookup });
  }

  accept(socket: Socket, head: Buffer, isLocal: boolean): void {
    this.#links.accept(socket, head, isLocal);
  }

  /** What the configuration of the cluster says of its proxies. */
  configured(settings: SharedProxyConfig | undefined): void {
    this.#settings = settings;
    this.#links.changed();
  }

  /** After every step of the core. */
  seen(state: HaState): void {
    const notes = state.server !== null && 'notes' in state.server ? state.server.notes : undefined;
    if (notes?.maxConnections !== undefined && notes.reservedConnections !== undefined)
      this.#limits = { maxConnections: notes.maxConnections, reservedConnections: notes.reservedConnections };
    const handover = state.role.kind === 'leader' ? state.role.handover : null;
    if (this.#holding?.isHandover === true && handover === null) this.release();
    this.#links.changed();
  }

  /** Resolves when no proxy has anything left that runs here, after `drainTimeoutMs` at most. Held until `release` or the end of the handover. */
  holdForHandover(): Promise<void> {
    return this.#hold({ isHandover: true, ended: new AbortController() });
  }

  /** The same before `work`, until it has ended. */
  async holdDuring<T>(work: () => Promise<T>): Promise<T> {
    const holding = { isHandover: false, ended: new AbortController() };
    await this.#hold(holding);
    try {
      return await work();
    } finally {
      if (this.#holding === holding) this.release();
    }
  }

  async #hold(holding: Holding): Promise<void> {
    const { state, clock, log } = this.#options;
    // One that is under way goes over into this one: in between nothing is to begin.
    this.#holding?.ended.abort();
    this.#holding = holding;
    this.#links.changed();
    const linked = this.#links.count;
    if (linked === 0) return;
    const startedAt = clock();
    const left = await this.#links.hold(state().config.timings.drainTimeoutMs, holding.ended.signal);
    if (holding.ended.signal.aborted) return;
    const tookMs = Math.round(clock() - startedAt);
    if (left > 0) log.warn('proxies', `${left} of ${linked} proxies still have open transactions after ${tookMs} ms`);
    else log.info('proxies', `${linked === 1 ? 'the proxy holds' : `${linked} proxies hold`} new work after ${tookMs} ms`);
  }

  /** Work goes on. */
  release(): void {
    const before = this.#holding;
    if (before === null) return;
    this.#holding = null;
    before.ended.abort();
    this.#links.changed();
  }

  close(): void {
    this.#links.close();
  }

  #view(isLocal: boolean): AgentView {
    const { config, state: current, clock, socketDir } = this.#options;
    const state = current();
    const record = state.record?.value ?? null;
    const { name, host, port, api } = config;
    const doesServe = serves(state, clock());
    const others = Object.values(state.members).filter((member) => member.name !== name);
    return {
      kind: 'view',
      member: name,
      role: doesServe ? 'primary' : state.server?.state === 'standby' ? 'standby' : 'none',
      serves: doesServe,
      epoch: record?.epoch ?? 0,
      leader: record?.member ?? null,
      timeline: record?.timeline ?? 0,
      holding: this.#holding !== null,
      members: [
        { name, host, port, api: `${api.host}:${api.port}` },
        ...others.map((member) => ({ name: member.name, host: member.host, port: member.port, api: member.api })),
      ],
      ...(isLocal ? { socketDir } : {}),
      ...this.#limits,
      ...(this.#settings === undefined ? {} : { settings: this.#settings }),
    };
  }
}

/** As `holdsLead`, and through the first parts of a switchover: what runs may end there until the server is stopped. */
function serves(state: HaState, now: number): boolean {
  const { role } = state;
  if (holdsLead(state, now)) return true;
  if (role.kind !== 'leader' || (role.handover?.stage !== 'closing' && role.handover?.stage !== 'draining')) return false;
  const before = { ...role, handover: null, phase: 'serving' as const };
  return holdsLead({ ...state, server: null, role: before }, now);
}
