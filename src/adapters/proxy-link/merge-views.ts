import type { MemberName } from '#domain/member.ts';
import type { ServerAddress, TopologyView } from '#domain/ports/topology.ts';
import type { AgentView } from './messages.ts';

/** What the agent of one member said last. */
export interface Heard {
  readonly view: AgentView;
  /** It is linked at this moment, and speaks. */
  readonly speaks: boolean;
  /** For how long it has not spoken, in milliseconds; 0 while it does. */
  readonly silentMs: number;
}

/** What is in force, with what it takes to judge the next views by. */
export interface Merged {
  readonly view: TopologyView;
  /** Of the leader record. It rises at a re-claim too, where `view.epoch` stands: the server and its connections are the same. */
  readonly epoch: number;
  readonly leader: MemberName | null;
  readonly timeline: number;
}

export const NOTHING_HEARD: Merged = {
  view: { epoch: 0, primary: null, holding: false, servers: [] },
  epoch: 0,
  leader: null,
  timeline: 0,
};

/** An agent that has asked for a hold and fell silent does not hold everything up for longer: by then its server is ended or led on. */
export const HOLD_BELIEVED_MS = 10_000;

/**
 * The highest epoch wins. A primary is named only by its own agent's word that it serves in that epoch; when that agent is silent and
 * nobody knows of a higher one, what was known stays in force, since neither a dead agent nor an unreachable store ends a server.
 */
export function mergeViews(before: Merged, heard: readonly Heard[]): Merged {
  // One that has not read the leader record yet, such as an agent just started, says nothing about anybody.
  const speaking = heard.filter(({ view, speaks }) => speaks && view.epoch > 0 && view.leader !== null);
  const newest = newestOf(speaking);
  const { epoch, leader, timeline } = newest !== undefined && newest.epoch > before.epoch ? newest : before;
  const same = leader !== null && leader === before.leader && timeline === before.timeline;
  const own = heard.find(({ view }) => view.member === leader);
  const servers = serversOf(before, speaking);
  const view = {
    epoch: same ? before.view.epoch : epoch,
    primary: primaryOf(before, same, epoch, leader, own, servers, speaking),
    holding: isHolding(before, same, own),
    servers,
  };
  // A re-claim changes the epoch of the record alone: who looks at the view hears of nothing.
  return { view: isEqual(view, before.view) ? before.view : view, epoch, leader, timeline };
}

function newestOf(speaking: readonly Heard[]): AgentView | undefined {
  return speaking.map(({ view }) => view).toSorted((a, b) => b.epoch - a.epoch || compare(a.member, b.member))[0];
}

function primaryOf(
  before: Merged,
  same: boolean,
  epoch: number,
  leader: MemberName | null,
  own: Heard | undefined,
  servers: readonly ServerAddress[],
  speaking: readonly Heard[],
): ServerAddress | null {
  if (leader === null) return null;
  if (own === undefined || !speaking.includes(own)) {
    const { primary } = before.view;
    return same && primary?.name === leader ? primary : null;
  }
  if (!own.view.serves || own.view.epoch !== epoch) return null;
  return servers.find(({ name }) => name === leader) ?? null;
}

function isHolding(before: Merged, same: boolean, own: Heard | undefined): boolean {
  if (own === undefined) return false;
  if (own.speaks) return own.view.holding;
  return same && before.view.holding && own.silentMs < HOLD_BELIEVED_MS;
}

/** Everybody's own word about himself; of the others, the word of who knows the highest epoch. Nobody speaks: as before. */
function serversOf(before: Merged, speaking: readonly Heard[]): readonly ServerAddress[] {
  if (speaking.length === 0) return before.view.servers;
  const found = new Map<MemberName, ServerAddress>();
  const { primary } = before.view;
  if (primary !== null) found.set(primary.name, primary);
  const sorted = speaking.map(({ view }) => view).toSorted((a, b) => a.epoch - b.epoch || compare(b.member, a.member));
  const known = new Map(before.view.servers.map((server) => [server.name, server]));
  for (const { name, host, port } of sorted.flatMap(({ members }) => members)) {
    const old = known.get(name);
    // Where its socket is, only its own agent says.
    found.set(name, old?.host === host && old.port === port ? old : { name, host, port });
  }
  for (const { member, members, socketDir } of sorted) {
    const own = members.find(({ name }) => name === member);
    if (own !== undefined)
      found.set(member, { name: member, host: own.host, port: own.port, ...(socketDir === undefined ? {} : { socketDir }) });
  }
  return [...found.values()].sort((a, b) => compare(a.name, b.name));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isEqual(a: TopologyView, b: TopologyView): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
