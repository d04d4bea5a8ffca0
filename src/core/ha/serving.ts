import type { LeaderRecord, SyncSetting } from '#domain/leader-record.ts';
import { formatLsn } from '#domain/lsn.ts';
import type { ServerView } from '#domain/server.ts';
import { startCheckpoint } from './checkpoint.ts';
import { covers, sameSetting } from './quorum.ts';
import { swapRecord } from './record.ts';
import { eligibleFor, moveSync, targetOf, watchHealth } from './sync-change.ts';
import type { Turn } from './turn.ts';

const CHECKPOINT_RETRY_MS = 1000;
const GATE_FIRST_MS = 1000;
/** `ANY 1 (matriarch_none)`: acknowledges nothing, since nobody has that name. */
const NOBODY: SyncSetting = { sync: ['matriarch_none'], k: 1 };

/** The standing work of a leader whose server runs: S follows those that stream, slots, the first checkpoint, requests to forget. */
export function serve(turn: Turn, record: LeaderRecord): void {
  const { state, now } = turn;
  const view = state.server;
  if (turn.leader === null || view?.state !== 'primary') return;
  watchHealth(turn, turn.leader, record, view);
  undoForeignSetting(turn, record, view);
  keepSlots(turn);
  checkpointOnce(turn);
  answerForget(turn, record);
  const leader = turn.leader;
  if (leader === null || leader.slots === null || now < state.jobRetryAt || state.config.paused) return;
  const target = targetOf(turn, leader, record, view);
  if (moveSync(turn, leader, record, target, view)) return;
  keepEligible(turn, record, eligibleFor(turn, target, view), target.degraded, view);
}

/** Somebody's ALTER SYSTEM that the record does not cover is undone at once, and reported. */
function undoForeignSetting(turn: Turn, record: LeaderRecord, view: Extract<ServerView, { state: 'primary' }>): void {
  const { state } = turn;
  const running = turn.leader?.running;
  if (running == null || state.job !== null || state.serverAt < running.inForceAt) return;
  const wanted = running.wait ? NOBODY : running.setting;
  const expected = view.setting !== 'foreign' && sameSetting(view.setting, wanted);
  if (expected) return;
  const covered = view.setting !== 'foreign' && covers(record, view.setting);
  turn.say(
    'H4',
    `synchronous_standby_names was changed by somebody${covered ? '' : ' to what the record does not cover'}: undone`,
  );
  turn.setLeader({ running: null });
}

/** Every member streams through its own slot, so it must be there before the member connects. */
function keepSlots(turn: Turn): void {
  const { state } = turn;
  const leader = turn.leader;
  if (leader === null || state.job !== null || turn.now < state.jobRetryAt) return;
  const keep = Object.values(state.members)
    .map((member) => member.incarnation)
    .filter((name) => name !== state.incarnation && !leader.forgotten.includes(name))
    .sort();
  if (leader.slots !== null && keep.length === leader.slots.length && keep.every((name) => leader.slots?.includes(name))) return;
  turn.setLeader({ slots: keep });
  turn.run({ kind: 'slots', keep });
}

/** H9: until the first checkpoint on its timeline a rewind against this server would be unsound. */
function checkpointOnce(turn: Turn): void {
  const { state, leader, now } = turn;
  if (leader === null || leader.checkpointed || state.checkpointing !== null) return;
  // Clients who wait have the disk first; whoever could only be let in behind a rewind does not wait for long.
  if (leader.phase !== 'serving' && now - leader.phaseAt < GATE_FIRST_MS) return;
  if (now - state.checkpointAt < CHECKPOINT_RETRY_MS && state.checkpointResult === 'failed') return;
  if (state.checkpointResult === 'done') return turn.setLeader({ checkpointed: true });
  startCheckpoint(turn);
}

/** H9: says "forgotten" only when neither the record nor anything that PostgreSQL may be running counts the incarnation. */
function answerForget(turn: Turn, record: LeaderRecord): void {
  const { state } = turn;
  const leader = turn.leader;
  if (leader === null || leader.forgetRequests.length === 0 || state.swap !== null) return;
  const running = leader.running;
  const open = leader.forgetRequests.filter((request) => {
    const counted =
      record.sync.includes(request.incarnation) || running === null || running.setting.sync.includes(request.incarnation);
    if (counted) return true;
    turn.say('H9', `${request.incarnation} of ${request.from} is recorded out of S`);
    turn.send(request.from, { kind: 'forgotten', incarnation: request.incarnation, nonce: request.nonce, epoch: leader.epoch });
    return false;
  });
  if (open.length !== leader.forgetRequests.length) turn.setLeader({ forgetRequests: open });
}

function keepEligible(
  turn: Turn,
  record: LeaderRecord,
  eligible: readonly string[],
  degraded: boolean,
  view: Extract<ServerView, { state: 'primary' }>,
): void {
  const same = eligible.length === record.eligible.length && eligible.every((name) => record.eligible.includes(name));
  const marked = degraded === (record.degradedSince !== undefined);
  if ((same && marked) || turn.state.swap !== null) return;
  const { degradedSince, ...rest } = record;
  const mark = degraded ? { degradedSince: degradedSince ?? { lsn: formatLsn(view.position.lsn), at: turn.state.wall } } : {};
  swapRecord(turn, { ...rest, eligible, ...mark }, true);
}
