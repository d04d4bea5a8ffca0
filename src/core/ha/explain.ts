import type { ExplainLine } from '#domain/status.ts';
import { relate } from './divergence.ts';
import { countShared } from './quorum.ts';
import type { HaState, Leader } from './state.ts';

/** One screen: why this member is what it is, and what would have to change. */
export function explain(state: HaState, now: number): { readonly summary: string; readonly lines: readonly ExplainLine[] } {
  const lines = [recordLine(state), promiseLine(state), storeLine(state, now), ...roleLines(state, now), ...serverLines(state)];
  if (state.config.paused)
    lines.push(line('pause', false, 'paused: no automatic failover, restart, rewind or clone', '`matriarch resume`'));
  return { summary: summary(state), lines };
}

function line(rule: string, holds: boolean, text: string, toChange?: string): ExplainLine {
  return toChange === undefined ? { rule, holds, text } : { rule, holds, text, toChange };
}

function summary(state: HaState): string {
  const { name } = state.self;
  const record = state.record?.value;
  if (record == null) return `${name}: no leader is recorded yet`;
  if (state.role.kind === 'leader') return `${name} leads epoch ${state.role.epoch} (${state.role.phase}), since ${record.since}`;
  if (state.role.kind === 'candidate') return `${name} stands for epoch ${state.role.epoch || 'to come'} (${state.role.phase})`;
  const following = state.following === null ? 'follows nobody' : `follows ${state.following.upstream.member}`;
  return `${name} ${following}; epoch ${record.epoch} is led by ${record.member}`;
}

function recordLine(state: HaState): ExplainLine {
  const record = state.record?.value;
  if (record == null) return line('record', false, 'the store holds no leader record');
  const set =
    record.k === 0 ? 'nobody has to confirm commits' : `${record.k} of {${record.sync.join(', ')}} confirm every commit`;
  return line('H4', record.k > 0, `epoch ${record.epoch}, ${record.member} on timeline ${record.timeline}: ${set}`);
}

function promiseLine(state: HaState): ExplainLine {
  const recorded = state.record?.value?.epoch ?? 0;
  if (state.promise > recorded)
    return line(
      'H10',
      false,
      `has promised epoch ${state.promise}, above the recorded ${recorded}: follows nobody of a lower one`,
      'a claim or re-claim of that epoch or a higher one, which happens by itself',
    );
  return line('H10', true, `has promised epoch ${state.promise}: acknowledges nothing to an older leader`);
}

function storeLine(state: HaState, now: number): ExplainLine {
  const freshMs = state.record === null ? Infinity : now - state.record.freshAt;
  const failed = state.readFailedAt > (state.record?.freshAt ?? -Infinity);
  if (failed)
    return line('store', false, 'the store does not answer: nobody is promoted and S stays as it is', 'the store coming back');
  return line(
    'store',
    true,
    Number.isFinite(freshMs) ? `the record was read ${Math.round(freshMs / 1000)} s ago` : 'the record is watched',
  );
}

function roleLines(state: HaState, now: number): readonly ExplainLine[] {
  if (state.role.kind === 'leader') return leaderLines(state, state.role, now);
  const record = state.record?.value;
  if (record == null) return [];
  const lines: ExplainLine[] = [];
  const eligible = record.eligible.includes(state.self.name);
  const inSet = record.sync.includes(state.incarnation);
  lines.push(
    line(
      'H2',
      inSet,
      inSet ? 'is in the sync set' : 'is not in the sync set',
      inSet ? undefined : 'streaming within maximumLag, without the tag nosync',
    ),
    line(
      'step 2',
      eligible && !state.self.tags.nofailover,
      eligible ? 'may lead next' : 'may not lead next',
      eligible
        ? undefined
        : record.degradedSince !== undefined
          ? `one standby back in S; or \`matriarch failover --allow-data-loss\``
          : 'no tag nofailover',
    ),
  );
  const silentMs = now - state.heartbeatAt;
  const heard = silentMs < state.config.timings.suspectAfterMs;
  lines.push(
    line(
      'step 1',
      heard,
      heard
        ? `heard the leader ${Math.round(silentMs)} ms ago`
        : `has not heard a leader for ${Math.round(silentMs / 100) / 10} s`,
      heard ? undefined : state.standWhy || 'an election, which begins by itself',
    ),
  );
  if (state.forgetting !== null)
    lines.push(
      line('H9', false, `waits for the leader to record ${state.forgetting.incarnation} out of S before it gives WAL up`),
    );
  return lines;
}

function leaderLines(state: HaState, leader: Leader, now: number): readonly ExplainLine[] {
  const record = state.record?.value;
  if (record == null) return [];
  const confirmed = Object.values(state.peers).filter(
    (peer) => record.sync.includes(peer.incarnation) && now - peer.confirmedAt < state.config.timings.fenceMs,
  );
  const proof =
    record.k === 0
      ? 'the lease'
      : `${confirmed.length} of ${record.sync.length} in S confirmed within the fence, ${record.k} needed`;
  const proven = record.k === 0 || confirmed.length >= record.k;
  return [
    line(
      'H6',
      !leader.fenced,
      `proof of leadership: ${proof}`,
      proven ? undefined : `answers of ${record.k - confirmed.length} more member(s) of S`,
    ),
    line(
      'H12',
      leader.phase === 'serving',
      leader.phase === 'serving' ? 'clients are admitted' : `clients are kept out (${leader.phase})`,
      leader.phase === 'serving' ? undefined : `${record.k} of S confirming the end of recovery on timeline ${record.timeline}`,
    ),
    line('guard', state.guardAlive, state.guardAlive ? 'a guard holds its deadline' : 'no guard: no leadership'),
    ...(record.degradedSince === undefined
      ? []
      : [
          line(
            'H8',
            false,
            `alone since ${record.degradedSince.at}: nobody else is promoted automatically`,
            'a standby that streams and catches up',
          ),
        ]),
    ...(state.canaryStuck === null ? [] : [line('step 1', false, `the canary is stuck: ${state.canaryStuck}`)]),
    line(
      'step 4',
      countShared(
        record.sync,
        Object.values(state.peers).map((peer) => peer.incarnation),
      ) > 0,
      `may lead next: ${record.eligible.filter((name) => name !== state.self.name).join(', ') || 'nobody'}`,
    ),
  ];
}

function serverLines(state: HaState): readonly ExplainLine[] {
  const server = state.server;
  if (state.job !== null) return [line('job', true, `${state.job.job.kind} is running`)];
  if (server === null) return [];
  switch (server.state) {
    case 'standby': {
      const heartbeat = state.leaderSeen?.heartbeat;
      const relation = heartbeat === undefined ? 'follows' : relate(server, heartbeat).kind;
      return [
        line(
          'H9',
          relation === 'follows',
          relation === 'follows' ? 'its log is a part of the leader’s' : 'its log has parted from the leader’s',
        ),
        line(
          'H11',
          server.stalled === undefined && server.streaming,
          server.stalled ?? (server.streaming ? 'streams' : 'does not stream'),
        ),
      ];
    }
    case 'stuck':
      return [line('H11', false, `its server does not answer: ${server.why}`, 'it is ended by itself after a while')];
    case 'stopped':
      return [
        line('server', false, server.clean ? 'its server is stopped' : 'its server has crashed', state.standWhy || undefined),
      ];
    default:
      return [line('server', true, `its server is ${server.state}`)];
  }
}
