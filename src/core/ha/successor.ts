import type { MemberName } from '#domain/member.ts';
import { NOWHERE } from '#domain/position.ts';
import { isNoise } from './position-noise.ts';
import type { Peer } from './state.ts';
import type { Turn } from './turn.ts';

export interface Successor {
  readonly name: MemberName;
  readonly lagBytes: bigint;
}

/** Who could lead at once: heard of within the fence, allowed to, and in S (or following, in asynchronous mode). */
export function bestSuccessor(turn: Turn, to?: MemberName): Successor | null {
  const { state, now } = turn;
  const record = state.record?.value;
  if (record == null) return null;
  const own = state.server !== null && 'position' in state.server ? state.server.position.lsn : 0n;
  const able = Object.entries(state.peers).filter(([name, peer]) => {
    if (to !== undefined && name !== to) return false;
    const lately = now - peer.heardAt < state.config.timings.suspectAfterMs;
    const safe = record.sync.includes(peer.incarnation) || (record.k === 0 && state.config.durability === 'async');
    return lately && safe && record.eligible.includes(name) && state.members[name]?.tags.nofailover !== true;
  });
  const furthest = able.map(([, peer]) => peer.position).reduce((a, b) => (turn.compare(b, a) > 0 ? b : a), NOWHERE);
  const behind = ({ position }: Peer) => (isNoise(position, furthest) ? 0 : 1);
  const priority = (name: MemberName) => state.members[name]?.tags.priority ?? 0;
  const ranked = able.sort(
    ([an, a], [bn, b]) =>
      behind(a) - behind(b) || priority(bn) - priority(an) || turn.compare(b.position, a.position) || (an < bn ? -1 : 1),
  );
  const best = ranked[0];
  if (best === undefined) return null;
  const lagBytes = own > best[1].position.lsn ? own - best[1].position.lsn : 0n;
  return { name: best[0], lagBytes };
}
