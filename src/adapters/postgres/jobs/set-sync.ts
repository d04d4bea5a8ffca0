import type { SyncSetting } from '#domain/leader-record.ts';
import type { JobResult } from '#domain/server.ts';
import { giveUp } from '../job-error.ts';
import { reload, undoAlterSystem } from '../reload.ts';
import type { JobContext } from '../server-context.ts';
import { formatSync, NOBODY, parseSync } from '../sync-names.ts';
import { until } from '../until.ts';

const ANSWER_TIMEOUT_MS = 1000;
const IN_FORCE_TIMEOUT_MS = 4000;

/**
 * Makes PostgreSQL run `setting`, and ends when it is in force, which is not what SHOW says: walsenders and the checkpointer read
 * the configuration on their own. Each walsender decides by its own copy, both whether its standby counts and how many are needed.
 *
 * A standby counts while its walsender has a priority in shared memory, which it sets when it reads the names, so names are seen to
 * be in force in `pg_stat_replication`. A count is seen nowhere. So whenever the count grows, or what the processes run is not
 * known, the way leads over a name that nobody bears: once no walsender has a priority, none releases anybody, and one that gets a
 * priority afterwards has read the final setting with its count. From the empty setting, or an unknown one, a probe must moreover
 * be seen to wait, since whether commits wait at all is the checkpointer's copy.
 */
export async function setSync(context: JobContext, setting: SyncSetting, wait: boolean): Promise<JobResult> {
  const next = setting.k > 0 ? setting : wait ? NOBODY : { sync: [], k: 0 };
  const target = formatSync(next);
  await undoAlterSystem(context);
  const before = context.memory.syncInForce;
  if (before === target) return { ok: true };
  context.memory.syncInForce = undefined;
  if (next.k === 0) {
    await run(context, next);
    await namesInForce(context, next);
    await probe(context, 'released');
  } else {
    const running = before === undefined ? undefined : parseSync(before);
    const waits = running !== undefined && running.k > 0;
    const detour = !waits || next.k > running.k;
    if (detour) {
      await run(context, NOBODY);
      await namesInForce(context, NOBODY);
      if (!waits) await probe(context, 'waiting');
    }
    if (!detour || target !== formatSync(NOBODY)) {
      await run(context, next);
      await namesInForce(context, next);
      await nudge(context);
    }
  }
  context.memory.syncInForce = target;
  return { ok: true };
}

async function run(context: JobContext, sync: SyncSetting): Promise<void> {
  await reload(context, await context.role.write({ sync }));
}

interface SenderRow {
  readonly pid: number;
  readonly name: string;
  readonly state: string;
  readonly priority: number;
  /** A member that has not answered yet; a logical subscriber may never. */
  readonly unanswered: boolean;
}

/**
 * Every walsender follows these names: who is named has a priority, who is not has none. The view shows none either before the
 * first answer of a standby, and a walsender that is about to stream may still take up the old names, so both are waited for.
 */
async function namesInForce(context: JobContext, sync: SyncSetting): Promise<void> {
  const names = new Set(sync.sync.map((name) => name.toLowerCase()));
  let offenders = '';
  let clear = 0;
  try {
    await until(
      async () => {
        const rows = await context.work.query<SenderRow>(
          `SELECT pid, lower(application_name) AS name, state, sync_priority AS priority, flush_lsn IS NULL AND usename = $1 AS unanswered
            FROM pg_stat_replication WHERE state <> 'backup' AND application_name <> 'pg_basebackup'`,
          [context.memory.secrets.replication.name],
          { timeoutMs: ANSWER_TIMEOUT_MS, prepared: 'sync' },
        );
        const stale = rows.filter((row) => row.state === 'startup' || row.unanswered || row.priority > 0 !== names.has(row.name));
        offenders = stale.map((row) => `${row.name} (pid ${row.pid})`).join(', ');
        // Twice: between its first state and its reading of the names a walsender shows neither.
        clear = stale.length === 0 ? clear + 1 : 0;
        return clear >= 2 ? true : undefined;
      },
      { signal: context.signal, timeoutMs: IN_FORCE_TIMEOUT_MS, what: 'every walsender follows the new names' },
    );
  } catch (error) {
    if (offenders === '') throw error;
    giveUp('failed', `synchronous_standby_names is not in force: the walsender of ${offenders} has not read it`, error);
  }
}

/**
 * A walsender releases those who wait when its standby answers, not when it reads new names: a commit that the new members confirmed
 * long ago would wait for their next regular answer (`wal_receiver_status_interval`, 10 s). Something to flush makes them answer now.
 */
async function nudge(context: JobContext): Promise<void> {
  await context.work.query("SELECT pg_logical_emit_message(true, 'matriarch', 'nudge')", [], { timeoutMs: ANSWER_TIMEOUT_MS });
}

/** Commits of our own until one is seen to wait for a standby, or to be released at once. */
async function probe(context: JobContext, expected: 'waiting' | 'released'): Promise<void> {
  await until(async () => ((await probeOnce(context)) === expected ? true : undefined), {
    signal: context.signal,
    timeoutMs: IN_FORCE_TIMEOUT_MS,
    what: expected === 'waiting' ? 'commits wait for a standby' : 'commits no longer wait for a standby',
  });
}

async function probeOnce(context: JobContext): Promise<'waiting' | 'released'> {
  const session = context.openSession({ name: 'matriarch probe', synchronousCommit: 'on' });
  try {
    await session.query('SELECT', [], { timeoutMs: ANSWER_TIMEOUT_MS });
    const pid = session.backendPid;
    let ended = false;
    const commit = session
      .query("SELECT pg_logical_emit_message(true, 'matriarch', 'probe')", [], { timeoutMs: IN_FORCE_TIMEOUT_MS })
      .then(
        () => 'released' as const,
        () => 'waiting' as const,
      )
      .finally(() => {
        ended = true;
      });
    const waits = until(
      async () => {
        if (ended) return 'released' as const;
        const [row] = await context.work.query<{ waits: boolean }>(
          "SELECT wait_event = 'SyncRep' AS waits FROM pg_stat_activity WHERE pid = $1",
          [pid],
          { timeoutMs: ANSWER_TIMEOUT_MS, prepared: 'probe' },
        );
        return row?.waits === true ? ('waiting' as const) : undefined;
      },
      { signal: context.signal, timeoutMs: IN_FORCE_TIMEOUT_MS, what: 'the probe ends or waits', everyMs: 2 },
    );
    const outcome = await waits;
    if (outcome === 'released') return await commit;
    // Its record is there; nobody hears of it. Ended, lest it occupies a connection until a standby comes.
    await context.work.query('SELECT pg_terminate_backend($1)', [pid], { timeoutMs: ANSWER_TIMEOUT_MS });
    await commit;
    return 'waiting';
  } finally {
    session.drop();
  }
}
