import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { MemberName } from '#domain/member.ts';
import type { Roles } from '#domain/ports/roles.ts';
import type { Topology, TopologyView } from '#domain/ports/topology.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { AgentLink, type AgentTarget } from './agent-link.ts';
import { type Heard, type Merged, mergeViews, NOTHING_HEARD } from './merge-views.ts';
import type { AgentView } from './messages.ts';
import { RoleLookups } from './role-lookups.ts';

export interface AgentTopologyOptions {
  /** Where to begin; the others are learnt from these. */
  readonly agents: readonly AgentTarget[];
  /** The certificate of the proxy for the agents, asked for at each dial. Undefined: Unix sockets only, and none that is learnt. */
  readonly tls: () => TlsIdentity | undefined;
  /** What the configuration of the cluster says of its proxies, as the primary's agent has it. Hears of every change. */
  readonly onSettings?: (settings: Readonly<Record<string, unknown>>) => void;
  /** One line for each change that a person may want to know. Never a secret. */
  readonly log: (line: string) => void;
}

export interface AgentTopology extends Topology, Roles {
  /** Of the primary: `max_connections` and how many of them are not for ordinary roles. Null while nobody has said. */
  readonly capacity: { readonly maxConnections: number; readonly reservedConnections: number } | null;
  /** The members whose agents speak at this moment. */
  readonly linked: readonly MemberName[];
}

const LOOK_EVERY_MS = 500;
const MAX_LINKS = 64;
/** Nobody names it any more, and it does not answer: it has left. */
const FORGET_AFTER_MS = 60_000;

/** So long nothing answers where it was last: back to where it was said to be. */
const ELSEWHERE_AFTER_MS = 3000;

interface Agent {
  readonly link: AgentLink;
  /** Where it was said to be. Undefined: others have named it. */
  readonly given: AgentTarget | undefined;
  view: AgentView | undefined;
  /** When another one last named it, or its link went down: whoever is neither has left. */
  knownAt: number;
  downAt: number;
  speaks: boolean;
  holdId: number | undefined;
}

/** Links to every agent of a cluster, and what they say made into one view. A cluster that is away at the start is waited for. */
export function openAgentTopology(options: AgentTopologyOptions): AgentTopology {
  return new LinkedTopology(options);
}

class LinkedTopology implements AgentTopology {
  readonly #options: AgentTopologyOptions;
  readonly #agents = new Map<MemberName, Agent>();
  readonly #listeners = new Set<(view: TopologyView) => Promise<void> | undefined>();
  readonly #roles = new RoleLookups(() => this.#askable());
  readonly #timer: NodeJS.Timeout;
  #merged: Merged = NOTHING_HEARD;
  /** Of the hold that lasts: when nothing runs any more. */
  #draining: Promise<unknown> | undefined;
  #capacity: AgentTopology['capacity'] = null;
  #closed = false;
  #settings = '{}';

  constructor(options: AgentTopologyOptions) {
    this.#options = options;
    for (const target of options.agents) this.#link(target, target);
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  get view(): TopologyView {
    return this.#merged.view;
  }

  get capacity(): AgentTopology['capacity'] {
    return this.#capacity;
  }

  get linked(): readonly MemberName[] {
    return [...this.#agents].flatMap(([name, { speaks }]) => (speaks ? [name] : []));
  }

  readonly lookup: Roles['lookup'] = (role, database, options) => this.#roles.lookup(role, database, options);

  subscribe(listener: (view: TopologyView) => Promise<void> | undefined): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await Promise.all([...this.#agents.values()].map(({ link }) => link.close()));
  }

  #link(target: AgentTarget, given: AgentTarget | undefined): Agent {
    const agent: Agent = {
      given,
      view: undefined,
      knownAt: performance.now(),
      downAt: performance.now(),
      speaks: false,
      holdId: undefined,
      link: new AgentLink({
        target,
        tls: this.#options.tls,
        onView: (view) => this.#heard(agent, view),
        onHold: (id) => this.#hold(agent, id),
        onDown: () => {
          agent.downAt = performance.now();
          agent.knownAt = agent.downAt;
          agent.speaks = false;
          agent.holdId = undefined;
          this.#log(`the link to the agent of ${target.name} is lost`);
          this.#merge();
        },
      }),
    };
    this.#agents.set(target.name, agent);
    return agent;
  }

  #heard(agent: Agent, view: AgentView): void {
    if (!agent.speaks) this.#log(`the agent of ${view.member} is linked`);
    agent.speaks = true;
    agent.view = view;
    this.#learn(view);
    this.#merge();
    const { maxConnections, reservedConnections } = view;
    if (this.view.primary?.name === view.member && maxConnections !== null && reservedConnections !== null)
      this.#capacity = { maxConnections, reservedConnections };
    if (this.view.primary?.name === view.member) this.#configure(view.settings ?? {});
  }

  #configure(settings: Readonly<Record<string, unknown>>): void {
    const text = JSON.stringify(settings);
    if (text === this.#settings) return;
    this.#settings = text;
    this.#options.onSettings?.(settings);
  }

  /** New members are dialled, and those that have moved dialled again. */
  #learn({ members, member }: AgentView): void {
    for (const { name, api } of members) {
      const known = this.#agents.get(name);
      if (known !== undefined && name !== member) known.knownAt = performance.now();
      if (this.#options.tls() === undefined || (known !== undefined && !this.#hasMoved(known, api))) continue;
      if (known === undefined && this.#agents.size >= MAX_LINKS) continue;
      void known?.link.close();
      this.#link({ name, ...addressOf(api) }, known?.given);
    }
  }

  #hasMoved({ link }: Agent, api: string): boolean {
    if (link.isUp || 'socketPath' in link.target) return false;
    const { host, port } = addressOf(api);
    return link.target.host !== host || link.target.port !== port;
  }

  #look(): void {
    const now = performance.now();
    for (const [name, { link, given, knownAt, downAt, view }] of this.#agents) {
      if (link.isUp) continue;
      if (given !== undefined) {
        // All may have moved at once, and nobody tells where to: a name in DNS still leads to them.
        if (link.target === given || now - downAt < ELSEWHERE_AFTER_MS) continue;
        void link.close();
        const again = this.#link(given, given);
        again.view = view;
        again.downAt = downAt;
        continue;
      }
      if (now - knownAt < FORGET_AFTER_MS) continue;
      void link.close();
      this.#agents.delete(name);
    }
    this.#merge();
  }

  #merge(): void {
    if (this.#closed) return;
    const now = performance.now();
    const heard = [...this.#agents.values()].flatMap(({ speaks, view, downAt }): Heard[] =>
      view === undefined ? [] : [{ view: local(view), speaks, silentMs: speaks ? 0 : now - downAt }],
    );
    const before = this.#merged;
    this.#merged = mergeViews(before, heard);
    if (this.#merged.view !== before.view) this.#publish(before.view);
  }

  #publish(before: TopologyView): void {
    const { view } = this.#merged;
    this.#log(describe(before, view));
    if (!view.holding) this.#draining = undefined;
    const promises = [...this.#listeners].map((listener) => listener(view));
    if (view.holding) this.#draining = Promise.all([this.#draining, ...promises]);
  }

  #hold(agent: Agent, id: number): void {
    agent.holdId = id;
    this.#merge();
    const { view } = this.#merged;
    const isPrimary = view.primary?.name === agent.link.target.name;
    // Nothing runs on a server that is not the primary, and nothing is started there.
    const drained = isPrimary && view.holding ? this.#draining : undefined;
    void Promise.resolve(drained).then(
      () => {
        if (agent.holdId === id) agent.link.drained(id);
      },
      (error: unknown) => this.#log(`what runs could not be ended for a switchover: ${(error as Error).message}`),
    );
  }

  /** The primary's first: what it says is never behind. */
  #askable(): readonly AgentLink[] {
    const primary = this.view.primary?.name;
    const up = [...this.#agents.values()].map(({ link }) => link).filter((link) => link.isUp);
    return up.toSorted((a, b) => Number(b.target.name === primary) - Number(a.target.name === primary));
  }

  #log(line: string): void {
    if (!this.#closed && line !== '') this.#options.log(line);
  }
}

/** The socket of a server is of use only where it is. */
function local(view: AgentView): AgentView {
  const { socketDir, ...rest } = view;
  const port = view.members.find(({ name }) => name === view.member)?.port;
  if (socketDir === undefined || port === undefined) return rest;
  try {
    accessSync(join(socketDir, `.s.PGSQL.${port}`), constants.R_OK | constants.W_OK);
    return view;
  } catch {
    return rest;
  }
}

function addressOf(api: string): { readonly host: string; readonly port: number } {
  const colon = api.lastIndexOf(':');
  return { host: api.slice(0, colon), port: Number(api.slice(colon + 1)) };
}

function describe(before: TopologyView, after: TopologyView): string {
  const name = (view: TopologyView) => view.primary?.name ?? 'nobody';
  if (after.holding && !before.holding) return `a planned change of the primary begins: ${name(after)} gets nothing new`;
  if (name(before) === name(after) && before.epoch === after.epoch) return '';
  return `the primary is ${name(after)} (epoch ${after.epoch})`;
}
