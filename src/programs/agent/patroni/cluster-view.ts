import type { HaState } from '#core/ha/state.ts';
import type { Lsn } from '#domain/lsn.ts';
import type { MemberRecord } from '#domain/member.ts';
import { lagOf } from './health-paths.ts';
import { stateOfMember } from './patroni-state.ts';
import type { PatroniView } from './patroni-view.ts';
import { shownTags } from './tag-names.ts';

/** The answer to `GET /cluster`. Only the leader knows how far each standby is; on another member the lags of others are `unknown`. */
export function clusterView(state: HaState, view: PatroniView): Readonly<Record<string, unknown>> {
  const members = Object.values(state.members)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((member) => memberOf(state, view, member));
  return { members, scope: view.scope, ...(view.paused ? { pause: true } : {}) };
}

function memberOf(state: HaState, view: PatroniView, member: MemberRecord): Readonly<Record<string, unknown>> {
  const own = member.name === view.name;
  const leader = state.record?.value?.member === member.name;
  const tags = shownTags(member.tags);
  return {
    name: member.name,
    role: leader ? 'leader' : roleOfStandby(state, member),
    state: own ? ownState(view) : member.state === 'streaming' ? 'streaming' : stateOfMember(member.state),
    api_url: `https://${member.api}/patroni`,
    host: member.host,
    port: member.port,
    timeline: own ? (view.timeline ?? member.position.timeline) : member.position.timeline,
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
    ...(leader ? {} : lagsOf(state, view, member)),
  };
}

function ownState(view: PatroniView): string {
  return view.streaming ? 'streaming' : view.state;
}

function roleOfStandby({ record }: HaState, member: MemberRecord): 'sync_standby' | 'quorum_standby' | 'replica' {
  const set = record?.value;
  if (set == null || set.k < 1 || !set.sync.includes(member.incarnation)) return 'replica';
  return set.k >= set.sync.length ? 'sync_standby' : 'quorum_standby';
}

/** `lag` is Patroni's older name; what has been received and what is shown came later. */
function lagsOf(state: HaState, view: PatroniView, member: MemberRecord) {
  const received = receivedLag(state, view, member);
  const replayed = replayedLag(state, view, member);
  return { lag: received ?? 'unknown', receive_lag: received ?? 'unknown', replay_lag: replayed ?? 'unknown' };
}

function receivedLag(state: HaState, view: PatroniView, member: MemberRecord): number | undefined {
  if (member.name === view.name) return lagOf(view, 'write');
  const follower = followerOf(state, member);
  return follower === undefined ? undefined : distance(view.location, follower.flushed);
}

function replayedLag(state: HaState, view: PatroniView, member: MemberRecord): number | undefined {
  if (member.name === view.name) return lagOf(view, 'apply');
  const follower = followerOf(state, member);
  return follower === undefined ? undefined : distance(view.location, follower.replayed);
}

function followerOf({ server }: HaState, { incarnation }: MemberRecord) {
  if (server?.state !== 'primary') return undefined;
  return server.followers.find((follower) => follower.incarnation === incarnation && follower.streaming);
}

function distance(leader: Lsn | null, standby: Lsn): number | undefined {
  if (leader === null) return undefined;
  return leader > standby ? Number(leader - standby) : 0;
}
