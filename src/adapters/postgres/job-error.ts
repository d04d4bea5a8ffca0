import type { JobFailure, JobResult } from '#domain/server.ts';

/** Ends a job with a code; every other error ends it as `failed`. */
export class JobError extends Error {
  override readonly name = 'JobError';
  readonly code: JobFailure;

  constructor(code: JobFailure, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export function giveUp(code: JobFailure, why: string, cause?: unknown): never {
  throw new JobError(code, why, cause);
}

/** What the caller of a job is told. A full disk is told apart wherever it shows: in our files, the server's SQL, a tool's output. */
export function failureOf(error: unknown): JobResult {
  if (isDiskFull(error)) return { ok: false, code: 'diskFull', why: messageOf(error) };
  if (error instanceof JobError) return { ok: false, code: error.code, why: error.message };
  return { ok: false, code: 'failed', why: messageOf(error) };
}

export function isDiskFull(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  // 53100: PostgreSQL's disk_full.
  return (
    code === 'ENOSPC' ||
    code === 'EDQUOT' ||
    code === '53100' ||
    /No space left on device|disk quota exceeded/i.test(messageOf(error))
  );
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
