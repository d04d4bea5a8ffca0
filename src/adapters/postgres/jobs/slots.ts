import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobResult } from '#domain/server.ts';
import { giveUp } from '../job-error.ts';
import type { ServerContext } from '../server-context.ts';
import { isMemberSlot, slotName } from '../sync-names.ts';

const TIMEOUT_MS = 2000;

/** Slots for exactly these incarnations. Slots of others (a backup, a logical subscriber) are not touched. */
export async function slots(context: ServerContext, keep: readonly string[]): Promise<JobResult> {
  const existing = await dropMemberSlots(context, keep);
  for (const name of keep.map(slotName)) {
    if (existing.has(name)) continue;
    // Reserved at once: WAL is kept from now on, not only from the first connection.
    await context.work.query('SELECT pg_create_physical_replication_slot($1, true)', [name], { timeoutMs: TIMEOUT_MS });
  }
  return { ok: true };
}

/** Drops the slots of members that are not in `keep`; whoever still streams through one is cut off. Returns the names that are left. */
export async function dropMemberSlots(context: ServerContext, keep: readonly string[]): Promise<ReadonlySet<string>> {
  const wanted = new Set(keep.map(slotName));
  const rows = await context.work.query<{ name: string; lost: boolean }>(
    `SELECT slot_name AS name, coalesce(wal_status = 'lost', false) AS lost FROM pg_replication_slots
      WHERE slot_type = 'physical' AND NOT temporary`,
    [],
    { timeoutMs: TIMEOUT_MS },
  );
  const left = new Set<string>();
  for (const { name, lost } of rows.filter((row) => isMemberSlot(row.name))) {
    // A slot whose WAL is gone holds nothing any more: made anew, it serves the clone that its member needs.
    if (wanted.has(name) && !lost) left.add(name);
    else await drop(context, name);
  }
  return left;
}

/**
 * Whoever is cut off comes back within milliseconds, so the slot is dropped in the moment in between: asking PostgreSQL to wait for the
 * end of the walsender would miss it, since it looks every 100 ms.
 */
async function drop(context: ServerContext, name: string): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  for (;;) {
    if ((await tryToDrop(context, name)) === 'gone') return;
    if (performance.now() > deadline) giveUp('failed', `the slot ${name} is in use again and again`);
    await sleep(1);
  }
}

async function tryToDrop(context: ServerContext, name: string): Promise<'gone' | 'maybe'> {
  try {
    const rows = await context.work.query(
      `SELECT CASE WHEN active_pid IS NOT NULL THEN pg_terminate_backend(active_pid) END AS cut,
        CASE WHEN active_pid IS NULL THEN pg_drop_replication_slot(slot_name) IS NOT NULL END AS dropped
        FROM pg_replication_slots WHERE slot_name = $1`,
      [name],
      { timeoutMs: TIMEOUT_MS, prepared: 'drop slot' },
    );
    return rows.length === 0 ? 'gone' : 'maybe';
  } catch (error) {
    // 55006: taken again just now.
    if ((error as { code?: unknown }).code === '55006') return 'maybe';
    throw error;
  }
}
