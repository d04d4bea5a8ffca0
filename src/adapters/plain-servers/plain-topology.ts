import { setTimeout as sleep } from 'node:timers/promises';
import type { Topology, TopologyView } from '#domain/ports/topology.ts';
import { type Answer, choosePrimary, type Known } from './choose-primary.ts';
import type { PlainServer } from './plain-server.ts';

export interface PlainTopologyOptions {
  readonly servers: readonly PlainServer[];
  readonly askEveryMs: number;
  readonly log: { info(text: string): void; warn(text: string): void; error(text: string): void };
}

type Listener = Parameters<Topology['subscribe']>[0];

/** Who is the primary among servers without agents, by asking each of them again and again. It holds nothing and promotes nobody. */
export class PlainTopology implements Topology {
  #view: TopologyView;
  readonly #options: PlainTopologyOptions;
  readonly #answers = new Map<string, Answer>();
  readonly #listeners = new Set<Listener>();
  readonly #stopping = new AbortController();
  readonly #loops: readonly Promise<void>[];
  readonly #firstLook = Promise.withResolvers<void>();
  readonly #heard = new Set<string>();
  readonly #troubles = new Map<string, string | undefined>();
  #known: Known | null = null;
  #last: Known | null = null;
  #system: string | undefined;
  #said = '';

  constructor(options: PlainTopologyOptions) {
    this.#options = options;
    this.#view = { epoch: 0, primary: null, holding: false, servers: options.servers.map(({ address }) => address) };
    for (const { address } of options.servers) this.#answers.set(address.name, { kind: 'silent' });
    this.#loops = options.servers.map((server) => this.#keepAsking(server));
  }

  get view(): TopologyView {
    return this.#view;
  }

  /** When each server has answered once, or has not in time. */
  get firstLook(): Promise<void> {
    return this.#firstLook.promise;
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    this.#listeners.clear();
    for (const server of this.#options.servers) server.drop();
    await Promise.all(this.#loops);
  }

  async #keepAsking(server: PlainServer): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let answer = await server.ask();
      // A connection that was lost, or ended by a person, says little about the server; a new one does.
      if (!isServing(answer) && isServing(this.#answers.get(server.address.name)) && !signal.aborted) answer = await server.ask();
      if (signal.aborted) return;
      this.#hear(server, answer);
      await sleep(this.#options.askEveryMs, undefined, { signal }).catch(() => {});
    }
  }

  #hear(server: PlainServer, answer: Answer): void {
    const { name } = server.address;
    this.#system ??= server.system;
    const foreign = server.system !== undefined && server.system !== this.#system && answer.kind !== 'away';
    this.#answers.set(name, foreign ? { kind: 'away' } : answer);
    this.#heard.add(name);
    if (server.trouble !== undefined && server.trouble !== this.#troubles.get(name))
      this.#options.log.warn(`${name}: ${server.trouble}`);
    this.#troubles.set(name, server.trouble);
    this.#decide(foreign ? `${name} belongs to another cluster (${server.system}, not ${this.#system}) and is left alone` : '');
    if (this.#heard.size === this.#answers.size) this.#firstLook.resolve();
  }

  #decide(foreign: string): void {
    // Until everybody was asked once, one of two primaries could be taken before the other one is known.
    if (this.#heard.size < this.#answers.size) return;
    const { primary, rivals } = choosePrimary(this.#known, this.#answers);
    const trouble = rivals.length === 0 ? foreign : `several servers take writes on one timeline: ${rivals.join(', ')}`;
    if (trouble !== '' && trouble !== this.#said) this.#options.log.error(trouble);
    this.#said = trouble;
    if (primary?.name === this.#known?.name && primary?.timeline === this.#known?.timeline) return;
    const isNew = primary !== null && (primary.name !== this.#last?.name || primary.timeline !== this.#last.timeline);
    this.#known = primary;
    if (primary !== null) this.#last = primary;
    this.#publish({
      ...this.#view,
      epoch: this.#view.epoch + (isNew ? 1 : 0),
      primary: this.#options.servers.find(({ address }) => address.name === primary?.name)?.address ?? null,
    });
  }

  #publish(view: TopologyView): void {
    this.#view = view;
    if (view.primary === null) this.#options.log.warn('no server takes writes');
    else this.#options.log.info(`the primary is ${view.primary.name}, timeline ${this.#known?.timeline}`);
    for (const listener of this.#listeners) void listener(view);
  }
}

function isServing(answer: Answer | undefined): boolean {
  return answer?.kind === 'primary' || answer?.kind === 'standby';
}
