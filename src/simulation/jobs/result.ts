import type { JobFailure, JobResult } from '#domain/server.ts';
import { type Log, tip } from '../wal.ts';

export const DONE: JobResult = { ok: true };

export function failed(code: JobFailure, why: string): JobResult {
  return { ok: false, code, why };
}

export function doneWithLog(log: Log): JobResult {
  const end = tip(log);
  return { ok: true, log: { position: end.position, lineage: end.lineage } };
}
