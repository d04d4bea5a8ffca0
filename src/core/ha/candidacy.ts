import type { LeaderCause, LeaderRecord, SyncSetting } from '#domain/leader-record.ts';
import type { LogSummary, MemberName } from '#domain/member.ts';
import type { Position } from '#domain/position.ts';
import { unclaimedTimeline } from './granting.ts';
import { isNoise } from './position-noise.ts';
import { positionText } from './position-text.ts';
import { highestSeen, nextEpoch, readRecord, swapRecord } from './record.ts';
import { leaderSilence } from './silence.ts';
import { standDown } from './stand-down.ts';
import type { Answered, Candidate } from './state.ts';
import type { Turn } from './turn.ts';
import { type Ballot, judge, type Verdict } from './verdict.ts';

/** Where the answers that are there suffice, nobody waits longer for that of somebody who may be dead. */
const ASK_TIMEOUT_MS = 250;
/** A claim against a record that was read longer ago is not begun: the store may be away. */
const FRESH_RECORD_MS = 1000;
const ONLY_THE_LEADER = 'only the former leader has all that may be needed: it re-claims';

/** Step 1 and 2: a member that suspects the leader, may lead and can show that step 4 would hold. Returns whether it stood. */
export function considerStanding(turn: Turn): boolean {
  const { state, now } = turn;
  const barrier = whyNotStand(turn);
  if (barrier !== null) {
    state.standWhy = barrier;
    return false;
  }
  const silence = leaderSilence(turn);
  if (silence !== 'silent') {
    state.standWhy = 'the leader is heard of';
    return false;
  }
  if (now < state.standBackUntil) return false;
  stand(turn, state.record?.value?.k === 0 && state.config.durability === 'async' ? 'lease' : 'failover', null);
  return true;
}

/** What forbids a member to stand, whatever the leader's silence; null when nothing does. */
export function whyNotStand(turn: Turn): string | null {
  const { state } = turn;
  const record = state.record?.value;
  if (record == null) return 'no leader is recorded yet';
  if (turn.must('reclaimNotStand', record.member !== state.self.name) === false)
    return 'the record names this member: it re-claims';
  if (state.config.paused) return 'paused by a person';
  if (state.self.tags.nofailover) return 'its tag nofailover';
  if (!record.eligible.includes(state.self.name) && turn.applies('degradedStays'))
    return record.degradedSince === undefined
      ? 'not among the eligible members of the record'
      : 'the leader went on alone (k = 0); only it, or a person';
  if (state.server?.state !== 'standby') return 'its server is not a running standby';
  return unclaimedTimeline(turn);
}

/** Becomes a candidate that asks everyone without any effect; an unreachable store or quorum disturbs nobody. */
export function stand(turn: Turn, cause: Candidate['cause'], commandId: string | null): void {
  const id = turn.token();
  turn.state.role = {
    kind: 'candidate',
    id,
    startedAt: turn.now,
    phase: 'asking',
    epoch: 0,
    cause,
    commandId,
    answers: {},
    promises: {},
    cannotFetch: false,
    own: null,
  };
  turn.say('step 2', `suspects the leader and asks everyone (${cause})`);
  readRecord(turn);
  turn.broadcast({ kind: 'ask', id, epoch: highestSeen(turn) + 1 });
}

/** Moves a candidacy on as far as what is known allows. */
export function continueCandidacy(turn: Turn): void {
  const { state } = turn;
  if (state.role.kind !== 'candidate') return;
  const record = state.record?.value;
  if (record == null) return standDown(turn, 'the record is gone');
  if (state.role.phase === 'asking') return whileAsking(turn, state.role, record);
  if (!turn.must('ownPromiseAtClaim', state.promise === state.role.epoch || state.persisting?.promise === state.role.epoch))
    return standDown(turn, `has promised epoch ${state.promise} since`);
  if (!turn.must('epochBelowAtClaim', record.epoch < state.role.epoch))
    return standDown(turn, `epoch ${record.epoch} is already led by ${record.member}`);
  if (state.persisting !== null || state.job !== null || state.swap !== null) return;
  if (turn.now - state.role.startedAt > patienceMs(turn, state.role)) return standDown(turn, 'the promises did not come in time');
  if (state.role.own === null) return turn.run({ kind: 'detach' });
  if (!turn.must('namedTimeline', state.role.own.position.timeline <= record.timeline))
    return standDown(turn, `its log is on timeline ${state.role.own.position.timeline}, which nobody claimed`);
  if (state.role.phase === 'promising') tryClaim(turn, state.role, state.role.own, record);
}

function patienceMs(turn: Turn, candidate: Candidate): number {
  const { promiseTimeoutMs, handoverTimeoutMs } = turn.state.config.timings;
  return candidate.cause === 'switchover' ? handoverTimeoutMs : promiseTimeoutMs + ASK_TIMEOUT_MS;
}

function whileAsking(turn: Turn, candidate: Candidate, record: LeaderRecord): void {
  const { state, now } = turn;
  if (state.persisting !== null) return;
  if (candidate.cause === 'forced') return requestPromises(turn, candidate);
  if (leaderSilence(turn) === 'heard') return standDown(turn, 'the leader is heard of again');
  const waitedMs = now - candidate.startedAt;
  const fresh = state.record !== null && state.record.freshAt >= candidate.startedAt;
  if (!fresh) {
    if (waitedMs > FRESH_RECORD_MS) standDown(turn, 'the store does not answer: nothing is disturbed without it');
    else if (state.reading === null && state.readFailedAt < candidate.startedAt) readRecord(turn);
    return;
  }
  const missing = turn.others().filter((name) => candidate.answers[name] === undefined && name !== record.member);
  if (missing.length > 0 && waitedMs < ASK_TIMEOUT_MS) return;
  const own = ownPosition(turn);
  if (own === null) return standDown(turn, 'its own position is unknown');
  const better = Object.entries(candidate.answers).find(([name, answer]) => isBetterPlaced(turn, own, name, answer, record));
  // Who is preferred among those that may lead is a person's to choose; what the others have beyond it is fetched all the same.
  if (better !== undefined && candidate.commandId === null) return standDown(turn, `${better[0]} is better placed`);
  const lag = asyncLag(turn, own);
  if (lag !== null) return standDown(turn, lag);
  const verdict = judge(turn, record, ballot(turn, own), willing(candidate));
  // Over a slow wire the answer that is missing may be on its way, and asking anew would only begin the wait again.
  const awaited = missing.length > 0 && waitedMs < state.config.timings.promiseTimeoutMs;
  if (verdict.kind === 'insufficient') {
    if (waitedMs < ASK_TIMEOUT_MS || awaited) return;
    return standDown(turn, `H8: ${verdict.why}`);
  }
  if (verdict.kind === 'fetch' && verdict.from.name === record.member) {
    if (waitedMs < ASK_TIMEOUT_MS || awaited) return;
    return standDown(turn, ONLY_THE_LEADER);
  }
  requestPromises(turn, candidate);
}

/** Position, then priority, then name. */
function isBetterPlaced(turn: Turn, own: Position, name: MemberName, answer: Answered, record: LeaderRecord): boolean {
  if (!answer.willing || !answer.mayLead || !record.eligible.includes(name)) return false;
  const order = isNoise(answer.position, own) ? 0 : turn.compare(answer.position, own);
  if (order !== 0) return order > 0;
  if (answer.priority !== turn.state.self.tags.priority) return answer.priority > turn.state.self.tags.priority;
  return name < turn.state.self.name;
}

/** Asynchronous mode only: somebody who misses more than the bound does not claim. */
function asyncLag(turn: Turn, own: Position): string | null {
  const { state } = turn;
  const known = state.leaderSeen?.heartbeat.position;
  if (state.config.durability !== 'async' || known === undefined) return null;
  const lagBytes = known.lsn - own.lsn;
  const limit = BigInt(state.config.maximumLagOnFailoverBytes);
  return lagBytes > limit ? `misses ${lagBytes} bytes of the leader's log, more than ${limit}` : null;
}

function willing(candidate: Candidate): readonly Ballot[] {
  return Object.entries(candidate.answers)
    .filter(([, answer]) => answer.willing)
    .map(([name, { incarnation, position }]) => ({ name, log: { incarnation, position, lineage: [] } }));
}

function ownPosition(turn: Turn): Position | null {
  const server = turn.state.server;
  return server?.state === 'standby' || server?.state === 'stopped' ? server.position : null;
}

function ballot(turn: Turn, position: Position): Ballot {
  const { self, incarnation } = turn.state;
  return { name: self.name, log: { incarnation, position, lineage: [] } };
}

function requestPromises(turn: Turn, candidate: Candidate): void {
  const epoch = nextEpoch(turn);
  turn.setCandidate({ phase: 'promising', epoch, startedAt: turn.now });
  turn.say('step 3', `asks for promises of epoch ${epoch}`);
  turn.state.following = null;
  turn.persist(epoch);
  turn.broadcast({ kind: 'promise', id: candidate.id, epoch, forced: candidate.cause === 'forced' });
}

/** Takes over from a leader that has promised `epoch` and stopped: it is in V, and its log ends at `log`. */
export function acceptHandover(turn: Turn, from: MemberName, epoch: number, log: LogSummary): void {
  const { state } = turn;
  const record = state.record?.value;
  if (record == null || record.member !== from || record.epoch >= epoch || state.promise > epoch) return;
  if (state.role.kind === 'leader' || state.server?.state !== 'standby' || state.grant !== null) return;
  if (state.role.kind === 'candidate' && state.role.epoch === epoch) return;
  if (state.persisting !== null || (state.job !== null && state.job.job.kind !== 'follow')) return;
  state.role = {
    kind: 'candidate',
    id: turn.token(),
    startedAt: turn.now,
    phase: 'promising',
    epoch,
    cause: 'switchover',
    commandId: null,
    answers: {},
    promises: { [from]: log },
    cannotFetch: false,
    own: null,
  };
  state.following = null;
  turn.say('switchover', `${from} hands over with epoch ${epoch}`);
  turn.persist(epoch);
}

function tryClaim(turn: Turn, candidate: Candidate, own: NonNullable<Candidate['own']>, record: LeaderRecord): void {
  const { state } = turn;
  const self: Ballot = { name: state.self.name, log: { incarnation: state.incarnation, ...own } };
  const promises = Object.entries(candidate.promises).map(([name, log]) => ({ name, log }));
  const verdict: Verdict =
    candidate.cause === 'forced' ? forcedVerdict(turn, candidate, self, promises) : judge(turn, record, self, promises);
  if (verdict.kind === 'insufficient') {
    state.standWhy = verdict.why;
    return;
  }
  if (verdict.kind === 'fetch') return fetchFrom(turn, verdict);
  if (!state.guardAlive) {
    state.standWhy = 'no guard, no leadership';
    return;
  }
  claim(turn, verdict.by === 'lease' ? { ...candidate, cause: 'lease' } : candidate, record, verdict.votes);
}

/** A person allowed loss: whoever promised within the time for it counts, and what is known to be further is named. */
function forcedVerdict(turn: Turn, candidate: Candidate, self: Ballot, promises: readonly Ballot[]): Verdict {
  const everybody = turn.others().every((name) => candidate.promises[name] !== undefined);
  if (!everybody && turn.now - candidate.startedAt < turn.state.config.timings.promiseTimeoutMs)
    return { kind: 'insufficient', why: 'still collecting promises' };
  const ahead = promises.filter((vote) => turn.compare(vote.log.position, self.log.position) > 0);
  const highest = ahead.reduce<Ballot | undefined>(
    (a, b) => (a === undefined || turn.compare(b.log.position, a.log.position) > 0 ? b : a),
    undefined,
  );
  const fetches = highest !== undefined && !candidate.cannotFetch && highest.name !== turn.state.record?.value?.member;
  if (fetches) return { kind: 'fetch', from: highest, until: highest.log.position };
  return { kind: 'lead', votes: [self, ...promises], by: 'quorum' };
}

function fetchFrom(turn: Turn, verdict: Extract<Verdict, { kind: 'fetch' }>): void {
  const { state } = turn;
  if (verdict.from.name === state.record?.value?.member) return leaveItToTheLeader(turn);
  const member = state.members[verdict.from.name];
  if (member === undefined) return standDown(turn, `the address of ${verdict.from.name} is unknown`);
  turn.say('step 4', `fetches what ${verdict.from.name} has and it lacks`);
  turn.setCandidate({ phase: 'fetching', startedAt: turn.now });
  const upstream = { member: member.name, host: member.host, port: member.port, name: state.incarnation };
  turn.run({ kind: 'fetch', upstream, until: verdict.until });
}

/**
 * A leader that promises has stopped its server: nobody can fetch from it. The promises of the others may suffice without it; when they
 * are all there and do not, only it can go on, and each further promise that it gives would put its re-claim off.
 */
function leaveItToTheLeader(turn: Turn): void {
  const { role, config } = turn.state;
  if (role.kind !== 'candidate') return;
  const outstanding = Object.entries(role.answers).some(([name, { willing }]) => willing && role.promises[name] === undefined);
  if (!outstanding) standDown(turn, ONLY_THE_LEADER, 3 * config.timings.handoverTimeoutMs);
}

/** Step 5, one compare-and-set against the version judged. */
function claim(turn: Turn, candidate: Candidate, record: LeaderRecord, votes: readonly Ballot[]): void {
  const { state } = turn;
  const setting = claimedSetting(turn, candidate, record, votes);
  const next: LeaderRecord = {
    epoch: candidate.epoch,
    member: state.self.name,
    incarnation: state.incarnation,
    timeline: record.timeline + 1,
    ...setting,
    eligible: state.config.durability === 'async' || setting.k > 0 ? eligibleAfter(turn, record) : [state.self.name],
    since: state.wall,
    cause: candidate.cause satisfies LeaderCause,
    evidence: Object.fromEntries(votes.map(({ name, log }) => [name, positionText(log.position)])),
    renewal: 0,
  };
  nameClaimant(turn, record);
  turn.setCandidate({ phase: 'claiming' });
  turn.say('step 5', `claims epoch ${next.epoch} on timeline ${next.timeline}`);
  swapRecord(turn, next, true);
}

/** A leader that died between its claim and its entry in the history would later look like one that a person promoted. */
function nameClaimant(turn: Turn, record: LeaderRecord): void {
  if (turn.state.claims[record.timeline] !== undefined) return;
  const { epoch, member, timeline, cause, since: at, evidence } = record;
  turn.do({ kind: 'appendHistory', entry: { epoch, member, timeline, lineage: [], cause, at, evidence } });
}

/**
 * S′ = S − candidate + predecessor, same k: each of them holds every acknowledged commit, the predecessor included, so the record
 * is true without any waiting. S′ made of those that promised would name members before they have what is already acknowledged.
 */
function claimedSetting(turn: Turn, candidate: Candidate, record: LeaderRecord, votes: readonly Ballot[]): SyncSetting {
  const { state } = turn;
  if (record.k === 0 || candidate.cause === 'forced') return { sync: [], k: 0 };
  const alone = votes.every((vote) => vote.name === state.self.name);
  if (state.config.durability === 'preferred' && alone) return { sync: [], k: 0 };
  const sync = turn.applies('predecessorInSet')
    ? [...record.sync.filter((name) => name !== state.incarnation && name !== record.incarnation), record.incarnation]
    : votes.filter((vote) => vote.name !== state.self.name).map((vote) => vote.log.incarnation);
  return { sync, k: Math.min(record.k, sync.length) };
}

function eligibleAfter(turn: Turn, record: LeaderRecord): readonly MemberName[] {
  return [...new Set([...record.eligible, record.member, turn.state.self.name])].sort();
}
